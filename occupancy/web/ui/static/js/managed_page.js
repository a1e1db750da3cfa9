// The start of a page on which somebody sets the plant up: who may see it, and what others are told.

import {byId, h, setText} from './dom.js';
import {t} from './i18n.js';
import {start, startAgain} from './page.js';
import {explain} from './refusal_text.js';
import * as session from './session.js';

/** Whether a step of the set-up led to this page: then the way back to it is shown. */
function cameFromSetup() {
  return location.pathname !== '/setup' && document.referrer === `${location.origin}/setup`;
}

/**
 * Starts a page for `role` and above. `load(isCurrent)` fetches and draws; after each wait it must ask
 * `isCurrent()`, because the session may have changed meanwhile. `clear()` takes away what it drew.
 * `listenToKeys()` is as for start(). Returns `reload()`, which loads again in place. The page has #said
 * for its situation, and #managed for the rest, hidden until it was loaded.
 */
export function startManaged(role, {load, clear, listenToKeys}) {
  let turn = 0;

  async function show() {
    turn += 1;
    const mine = turn;
    try {
      await load(() => mine === turn);
      if (mine !== turn) return;
      setText(byId('said'), '');
      byId('managed').hidden = false;
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      if (mine !== turn) return;
      if (problem.status === 401) {
        hide();
        await startAgain(run);
      } else {
        setText(byId('said'), explain(problem));
      }
    }
  }

  function hide() {
    turn += 1;
    byId('managed').hidden = true;
    clear();
  }

  function run(who) {
    hide();
    if (!who) setText(byId('said'), t('manage.signed_out'));
    else if (!session.may(role)) setText(byId('said'), t('manage.denied', {role: t(`role.${role}`)}));
    else {
      setText(byId('said'), t('shown.loading'));
      return show();
    }
    return undefined;
  }

  if (cameFromSetup()) {
    byId('main').prepend(h('p', {class: 'buttons'}, h('a', {href: '/setup'}, `← ${t('manage.to_setup')}`)));
  }
  start(run, listenToKeys);
  return show;
}
