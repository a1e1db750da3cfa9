// A card: one item as a row of the list. It has no state, and each drawing replaces all of it.

import {serverNow} from './clock.js';
import {byId, fill, h, setText, sight} from './dom.js';
import {duration, t} from './i18n.js';
import {partsOf} from './tag_parts.js';
import {ignoreTaps} from './tap_filter.js';
import {buttonClass, mainOf} from './transitions.js';

const TIMED = new Set(['occupied', 'paused', 'blocked']);

export class Card {
  /** `hooks` (see board.js) say which operations are offered, and handle touches. */
  constructor(hooks) {
    this.hooks = hooks;
    new ResizeObserver(() => { // a notice at the bottom must not cover a menu
      for (const menu of document.querySelectorAll('details.more[open]')) placeMenu(menu);
    }).observe(byId('foot'));
  }

  draw(item, row) {
    const {
      actions, isChosen, isActive, hindrance, onHindered, offered, onAct, onChoose, settings, waits,
    } = this.hooks;
    const waiting = waits(item.tag);
    const sending = actions.sending.get(item.tag);
    const refusal = actions.refusal(item);
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const operations = offered(item);
    settle(row, operations.join());
    const button = (operation) => {
      const why = hindrance(operation, item);
      return h('button', {
        type: 'button', class: buttonClass(operation), 'data-name': operation,
        'aria-disabled': sending || why ? 'true' : null,
        title: why || null,
        onclick() {
          const hindered = hindrance(operation, item); // now
          if (hindered) onHindered(hindered, item.tag);
          else if (!sending) onAct(operation, item.tag);
        },
      }, t(`operation.${operation}`));
    };
    const main = mainOf(operations);
    const more = operations.filter((operation) => !main.includes(operation));
    const board = document.body.dataset.board;
    row.className = `row ${item.state}${isActive(item.tag) ? ' active' : ''}${isChosen(item.tag) ? ' chosen' : ''}`;
    row.setAttribute('aria-busy', sending ? 'true' : 'false');
    fill(
      row,
      h('label', {class: 'pick'},
        h('input', {type: 'checkbox', class: 'choose', 'data-name': 'choose', checked: isChosen(item.tag),
          'aria-label': t('batch.choose', {tag: item.tag}), onchange: () => onChoose(item.tag)})),
      h('div', {class: 'what'},
        h('a', {class: 'tag', 'data-name': 'tag', href: `/boards/${board}/items/${item.tag}`},
          ...partsOf(item.tag)),
        h('span', {class: 'title'}, item.title)),
      h('div', {class: 'how'},
        h('span', {class: 'state'},
          h('span', {class: `mark ${item.state}`, 'aria-hidden': 'true'}), t(`state.${item.state}`)),
        TIMED.has(item.state) && h('time', {datetime: item.since}),
        item.step !== 'work' && h('span', {class: 'step'}, settings.titleOf(item.step)),
        ...settings.shownOf(item).map(([name, value]) => h('span', {class: 'attribute'}, `${name}: ${value}`)),
        item.holder && h('strong', {class: 'holder'}, item.holder.name),
        item.reason && h('span', {class: 'reason'}, item.reason)),
      refusal ? h('p', {class: 'refusal'}, refusal) : null,
      h('div', {class: 'acts'},
        ...(sending ? [h('span', {class: 'sending', role: 'status'}, t('board.sending'))]
          : waiting ? [waiting] : main.map(button)),
        more.length > 0 && !sending && !waiting && h('details', {class: 'more', 'data-name': 'more',
          ontoggle: ({target}) => placeMenu(target)},
          h('summary', {'aria-label': t('board.more', {tag: item.tag})}, '⋯'),
          h('div', {class: 'menu'}, ...more.map(button)))),
    );
    this.#tickRow(row);
    if (focused) row.querySelector(`[data-name="${focused}"]`)?.focus({preventScroll: true});
  }

  /** Updates the clocks of the visible rows. */
  tick(rows) {
    for (const row of rows) this.#tickRow(row);
  }

  #tickRow(row) {
    const time = row.querySelector('time');
    if (time) setText(time, duration((serverNow() - Date.parse(time.dateTime)) / 1000));
  }
}

/** Opens a menu upwards, or scrolls the page, so that all of it is in sight. */
function placeMenu(details) {
  if (!details.open) return;
  const menu = details.querySelector('.menu');
  details.classList.remove('up');
  const {low, high} = sight();
  const hidden = menu.getBoundingClientRect().bottom - high;
  if (hidden <= 0) return;
  if (details.getBoundingClientRect().top - low > menu.offsetHeight) details.classList.add('up');
  else scrollBy(0, hidden);
}

/** The second half of a double tap must not hit a button that has taken the place of another. */
function settle(row, operations) {
  if (row.operations !== undefined && row.operations !== operations) ignoreTaps(row);
  row.operations = operations;
}
