// A link to hand on: as a QR code for a phone or tablet, and as text with a button to copy it.

import {announce, h} from './dom.js';
import {t} from './i18n.js';

/**
 * The panel of a link. `svg` is the QR code from the API; it is shown as an image, so that nothing in it
 * is run. `path` begins with '/'. `note` says for how long it is valid.
 */
export function linkPanel({path, svg, note}) {
  return h('div', {class: 'link-panel'},
    h('img', {class: 'qr', alt: t('link.qr'), src: `data:image/svg+xml,${encodeURIComponent(svg)}`}),
    h('p', {class: 'soft'}, note),
    secretLine(t('link.address'), linkOf(path)));
}

/** The whole address of a path of this server. */
export function linkOf(path) {
  return new URL(path, location.href).href;
}

/** A text that is shown once, such as a token, with a button to copy it. */
export function secretLine(label, text) {
  const input = h('input', {readonly: true, value: text, class: 'secret', onfocus: () => input.select()});
  return h('div', {class: 'secret-line'},
    h('label', {}, label, input),
    h('button', {type: 'button', async onclick({currentTarget}) {
      input.select();
      // Without a secure context there is no clipboard API; the old command copies the selection.
      const isDone = await navigator.clipboard?.writeText(text).then(() => true, () => false)
        || document.execCommand('copy');
      if (!isDone) return; // it is selected, for the keyboard
      currentTarget?.classList.add('done');
      announce(t('link.copied'));
    }}, t('link.copy')));
}
