// The papers of people as they are printed: badge cards, and slips that are folded over their secret.

import {serverNow} from './clock.js';
import {h} from './dom.js';
import {moment, t} from './i18n.js';

const ON_PAGE = {badge: 8, link: 6, pin: 6}; // of A4 or Letter

/** Pages of papers. `made` is [{person, result}], with a result of the kind's request. */
export function pagesOf(kind, made, plant) {
  const pages = [];
  for (let start = 0; start < made.length; start += ON_PAGE[kind]) {
    pages.push(h('div', {class: 'papers-page'}, ...made.slice(start, start + ON_PAGE[kind])
      .map(({person, result}) => (
        kind === 'badge' ? card(person, result, plant) : slip(kind, person, result, plant)))));
  }
  return pages;
}

function codeImage(svg, alt) {
  return h('img', {class: 'qr', alt, src: `data:image/svg+xml,${encodeURIComponent(svg)}`});
}

function texts({name, id}, plant) {
  return h('div', {class: 'paper-text'}, h('p', {class: 'paper-name'}, name), h('p', {class: 'paper-id'}, id),
    h('p', {class: 'paper-plant'}, plant));
}

// Only a QR code: as Code 128 the code would be 75 mm wide, which leaves a card no margins, and the
// scanners that read our labels read QR codes. Not as text: others could copy it by a look.
function card(person, {svg}, plant) {
  return h('div', {class: 'paper badge-card'}, codeImage(svg, t('cards.badge_of', {name: person.name})),
    texts(person, plant));
}

// The lowest third is folded up over the secret; the name stays in sight above it.
function slip(kind, person, result, plant) {
  return h('div', {class: 'paper slip'},
    h('div', {}, texts(person, plant)),
    h('div', {class: 'secret-part'}, ...secretOf(kind, person, result)),
    h('div', {class: 'fold'}, t('cards.fold')));
}

function secretOf(kind, person, result) {
  if (kind === 'pin') {
    return [h('p', {class: 'pin'}, result.pin),
      h('p', {}, t('cards.pin_slip', {id: person.id, address: new URL('/sign-in', location.href).href}))];
  }
  const until = moment(serverNow() + 1000 * result.expires_in_s);
  return [codeImage(result.svg, t('link.qr')), h('p', {}, t('cards.link_slip', {until}))];
}
