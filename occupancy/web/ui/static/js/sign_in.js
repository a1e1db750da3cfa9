// The page of sign-in links. A link's secret is behind its '#', which browsers do not send, so it is in
// no proxy's log. The page sends it in the body of a POST, and removes it from the address bar.

import * as api from './api.js';
import {byId, setText} from './dom.js';
import {t} from './i18n.js';
import {start} from './page.js';
import {pinField, whyNoPin} from './pin_field.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

const form = byId('set-pin');
byId('pin-place').replaceWith(pinField(t('pin.new'), {autocomplete: 'new-password'}).element);

async function enter(secret) {
  history.replaceState(null, '', location.pathname);
  try {
    await api.send('POST', '/api/session', {body: {token: secret}});
  } catch (problem) {
    setText(byId('said'), problem.code === 'unauthenticated' ? t('session.link_used')
      : session.explainSignIn(problem));
    // The link may still be valid: reloading the page tries it again.
    if (problem.isUncertain || problem.code === 'rate_limited') history.replaceState(null, '', `#${secret}`);
    return false;
  }
  return true;
}

/** The first administrator has no PIN yet, and goes on to set the plant up; others may have forgotten theirs. */
async function offerPin(id) {
  const {workers} = await api.get(`/api/workers?q=${encodeURIComponent(id)}`).catch(() => ({workers: []}));
  if (workers.find((each) => each.id === id)?.has_pin === false) {
    location.replace('/setup');
    return;
  }
  form.hidden = false;
  form.elements.username.value = id;
  form.elements.pin.focus();
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const {id} = session.current().worker;
  const pin = form.elements.pin.value;
  const why = whyNoPin(pin, id);
  if (why) {
    setText(byId('said'), t(why));
    form.elements.pin.focus();
    return;
  }
  try {
    await api.send('PUT', `/api/workers/${encodeURIComponent(id)}`, {body: {pin}});
    // A new PIN ends every session of its worker, this one too.
    await api.send('POST', '/api/session', {body: {worker: id, pin}});
    location.href = '/boards';
  } catch (problem) {
    setText(byId('said'), problem.code === 'invalid_request' ? t('pin.refused')
      : problem.code === 'forbidden' ? problem.detail : explain(problem));
  }
});

// Opening another link in this tab changes only the part behind the '#'.
addEventListener('hashchange', () => { if (location.hash) location.reload(); });

const secret = location.hash.slice(1);
const isIn = secret ? await enter(secret) : false;
await start((found) => {
  if (!found) return;
  setText(byId('said'), t('session.signed_in', {name: found.worker.name}));
  if (isIn && found.means === 'station') {
    location.replace(found.board ? `/boards/${found.board}` : '/boards');
  } else if (isIn && found.board) {
    location.replace(`/boards/${found.board}/wall`);
  } else if (isIn && secret.startsWith('occlink_') && session.may('admin')) {
    offerPin(found.worker.id);
  } else {
    location.replace('/boards');
  }
});
