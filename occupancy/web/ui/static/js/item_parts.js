// The parts that a card and a row of the table have in common: what is chosen, and what can be done.

import {byId, h, setText, sight} from './dom.js';
import {serverNow} from './clock.js';
import {duration, t} from './i18n.js';
import {partsOf} from './tag_parts.js';
import {ignoreTaps} from './tap_filter.js';
import {buttonClass, mainOf} from './transitions.js';

const TIMED = new Set(['occupied', 'paused', 'blocked']);

export class ItemParts {
  /** `hooks` (see board.js) say which operations are offered, and handle touches. */
  constructor(hooks) {
    this.hooks = hooks;
    new ResizeObserver(() => { // a notice at the bottom must not cover a menu
      for (const menu of document.querySelectorAll('details.more[open]')) placeMenu(menu);
    }).observe(byId('foot'));
  }

  /** Draws all of a row by `parts(operations)`, and gives the focus back to what had it. */
  draw(item, row, parts) {
    const {actions, isChosen, isActive, offered} = this.hooks;
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const operations = offered(item);
    settle(row, operations.join());
    row.className = `row ${item.state}${isActive(item.tag) ? ' active' : ''}${isChosen(item.tag) ? ' chosen' : ''}`;
    row.setAttribute('aria-busy', actions.sending.has(item.tag) ? 'true' : 'false');
    row.replaceChildren(...parts(operations).filter(Boolean));
    tick(row);
    if (focused) row.querySelector(`[data-name="${focused}"]`)?.focus({preventScroll: true});
  }

  pick(item) {
    const {isChosen, onChoose} = this.hooks;
    return h('label', {class: 'pick'},
      h('input', {type: 'checkbox', class: 'choose', 'data-name': 'choose', checked: isChosen(item.tag),
        'aria-label': t('batch.choose', {tag: item.tag}), onchange: () => onChoose(item.tag)}));
  }

  link(item) {
    return h('a', {class: 'tag', 'data-name': 'tag', href: `/boards/${document.body.dataset.board}/items/${item.tag}`},
      ...partsOf(item.tag));
  }

  state(item) {
    return h('span', {class: 'state'},
      h('span', {class: `mark ${item.state}`, 'aria-hidden': 'true'}), t(`state.${item.state}`));
  }

  /** How long the state has lasted; false for one whose duration tells nothing. */
  since(item) {
    return TIMED.has(item.state) && h('time', {datetime: item.since});
  }

  refusal(item) {
    const refusal = this.hooks.actions.refusal(item);
    return refusal ? h('p', {class: 'refusal'}, refusal) : null;
  }

  /** The buttons of an item, or that an operation is on its way, or waits for the network. */
  acts(item, operations) {
    const {actions, hindrance, onHindered, onAct, waits} = this.hooks;
    const waiting = waits(item.tag);
    const sending = actions.sending.get(item.tag);
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
    return h('div', {class: 'acts'},
      ...(sending ? [h('span', {class: 'sending', role: 'status'}, t('board.sending'))]
        : waiting ? [waiting] : main.map(button)),
      more.length > 0 && !sending && !waiting && h('details', {class: 'more', 'data-name': 'more',
        ontoggle: ({target}) => placeMenu(target)},
        h('summary', {'aria-label': t('board.more', {tag: item.tag})}, '⋯'),
        h('div', {class: 'menu'}, ...more.map(button))));
  }
}

/** Updates the clocks of the visible rows. */
export function tickRows(rows) {
  for (const row of rows) tick(row);
}

function tick(row) {
  const time = row.querySelector('time');
  if (time) setText(time, duration((serverNow() - Date.parse(time.dateTime)) / 1000));
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
