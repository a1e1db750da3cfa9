// A one-time link for a person, as a QR code, with the time for which it is still valid.

import * as api from './api.js';
import {elapsed} from './clock.js';
import {byId, fill, h, setText} from './dom.js';
import {duration, t} from './i18n.js';
import {linkPanel} from './link_panel.js';

/** Makes a link and shows it until the dialog is closed; throws the Problem if there is none. */
export async function showLink({id, name}) {
  const isAnothers = api.watchPerson();
  const {path, svg, expires_in_s: lifeS} = await api.send('POST', `/api/workers/${encodeURIComponent(id)}/links`);
  if (isAnothers()) return; // who stands there now
  const endsMs = elapsed() + 1000 * lifeS;
  const dialog = byId('ask-dialog');
  const left = h('span', {});
  const place = h('div', {}, linkPanel({path, svg, note: left}));
  const close = h('button', {type: 'button', class: 'primary', onclick: () => dialog.close()}, t('people.close'));
  const tick = () => {
    const leftS = (endsMs - elapsed()) / 1000;
    if (leftS > 0) setText(left, t('people.link.left', {name, left: duration(leftS)}));
    else fill(place, h('p', {role: 'alert'}, t('people.link.over')));
  };
  tick();
  const timer = setInterval(tick, 1000);
  fill(dialog, h('h2', {id: 'ask-title'}, t('people.link.title', {name})), place,
    h('div', {class: 'buttons'}, close));
  dialog.showModal();
  close.focus();
  await new Promise((resolve) => { dialog.addEventListener('close', resolve, {once: true}); });
  clearInterval(timer);
  fill(dialog); // the link signs in whoever reads it
}
