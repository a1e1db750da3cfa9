// My account: who I am, my PIN, and how this device shows the pages.

import * as api from './api.js';
import {byId, fill, h, setText} from './dom.js';
import {switchTo, t} from './i18n.js';
import {startManaged} from './managed_page.js';
import {pinForm} from './pin_form.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

function load() {
  const {worker, board, means, role_with_pin: more} = session.current();
  const role = t(`role.${worker.role}`);
  const lines = [
    ['account.name', worker.name],
    ['account.id', worker.id],
    ['account.role', more ? t('account.until_pin', {role, more: t(`role.${more}`)}) : role],
    ['account.board', board ?? t('account.board_all')],
    ['account.means', t(`account.means_${means}`)],
  ];
  fill(byId('me'), ...lines.flatMap(([key, value]) => [h('dt', {}, t(key)), h('dd', {}, value)]));
  const isPerson = means === 'session' || means === 'badge';
  fill(byId('leave'),
    isPerson && h('button', {type: 'button', onclick: () => leave(() => session.signOut())},
      t('session.sign_out', {name: worker.name})),
    isPerson && session.may('admin') && h('button', {type: 'button', onclick: () => leave(leaveEverywhere)},
      t('account.everywhere')));
  fill(byId('pin-part'), ...(session.current().idle_s === null
    ? [h('p', {class: 'soft'}, t('account.pin_impossible'))]
    : [h('p', {class: 'soft'}, t('account.sessions_why')), pinForm()]));
}

async function leaveEverywhere() {
  await api.send('DELETE', `/api/workers/${encodeURIComponent(session.current().worker.id)}/sessions`);
  await session.load();
}

async function leave(end) {
  setText(byId('left'), '');
  try {
    await end();
  } catch (problem) {
    if (problem.status === undefined) throw problem; // a bug of the page
    setText(byId('left'), explain(problem));
  }
}

/** Shows the pages of this device in a theme from now on; '' is the device's own. */
function chooseTheme(theme) {
  const ageS = theme ? 31536000 : 0;
  document.cookie = `theme=${theme}; path=/; max-age=${ageS}; samesite=lax`;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content = theme || 'light dark';
}

for (const choice of document.querySelectorAll('[name="theme"]')) {
  choice.addEventListener('change', () => chooseTheme(choice.value));
}
byId('language-here').addEventListener('change', ({target}) => switchTo(target.value));

startManaged('observer', {
  load,
  clear() {
    for (const id of ['me', 'leave', 'pin-part']) fill(byId(id));
    setText(byId('left'), '');
  },
});
