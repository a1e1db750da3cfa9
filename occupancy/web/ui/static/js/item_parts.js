// The parts that a card and a row of the table have in common: what is chosen, and what can be done.

import {byId, h, setAttribute, setText, sight} from './dom.js';
import {serverNow} from './clock.js';
import {duration, t} from './i18n.js';
import {arrange, part} from './kept_parts.js';
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

  /** Draws a row of the parts that `parts(operations)` returns, and gives the focus back to what had it. */
  draw(item, row, parts) {
    const {actions, isChosen, isActive, offered} = this.hooks;
    const focused = row.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const operations = offered(item);
    settle(row, operations.join());
    row.shown = item;
    arrange(row, ...parts(operations));
    const isOpened = row.querySelector('details[open]') !== null;
    // Classes and not :has(), for which the browser looks at the whole row at each change in it.
    const classes = ['row', item.state, isActive(item.tag) && 'active', isChosen(item.tag) && 'chosen',
      actions.refusal(item) && 'refused', isOpened && 'opened'].filter(Boolean).join(' ');
    if (row.className !== classes) row.className = classes;
    setAttribute(row, 'aria-busy', String(actions.sending.has(item.tag)));
    tick(row);
    if (!focused || row.contains(document.activeElement)) return;
    row.querySelector(`[data-name="${focused}"]`)?.focus({preventScroll: true});
  }

  pick({tag}, row) {
    const {isChosen, onChoose} = this.hooks;
    const pick = part(row, 'pick', tag, () => h('label', {class: 'pick'},
      h('input', {type: 'checkbox', class: 'choose', 'data-name': 'choose',
        'aria-label': t('batch.choose', {tag}), onchange: () => onChoose(tag)})));
    pick.firstChild.checked = isChosen(tag);
    return pick;
  }

  link(item) {
    return h('a', {class: 'tag', 'data-name': 'tag', href: `/boards/${document.body.dataset.board}/items/${item.tag}`},
      ...partsOf(item.tag));
  }

  state({state}, row) {
    return part(row, 'state', state, () => h('span', {class: 'state'},
      h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state}`)));
  }

  /** How long the state has lasted; false for one whose duration tells nothing. */
  since({state, since}, row) {
    return TIMED.has(state) && part(row, 'since', since, () => h('time', {datetime: since}));
  }

  refusal(item) {
    const refusal = this.hooks.actions.refusal(item);
    return refusal ? h('p', {class: 'refusal'}, refusal) : null;
  }

  /** The buttons of an item, or that an operation is on its way, or waits for the network. */
  acts(item, row, operations) {
    const {actions, hindrance, waits} = this.hooks;
    const waiting = waits(item.tag);
    const sending = actions.sending.get(item.tag);
    const whys = operations.map((operation) => hindrance(operation, item));
    const make = () => this.#acts(item, row, {operations, whys, sending, waiting});
    if (waiting) return make();
    return part(row, 'acts', JSON.stringify([item.tag, operations, whys, sending]), make);
  }

  #acts(item, row, {operations, whys, sending, waiting}) {
    const {hindrance, onHindered, onAct} = this.hooks;
    const button = (operation) => {
      const why = whys[operations.indexOf(operation)];
      return h('button', {
        type: 'button', class: buttonClass(operation), 'data-name': operation,
        'aria-disabled': sending || why ? 'true' : null,
        title: why || null,
        onclick() {
          const hindered = hindrance(operation, row.shown); // now
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
        ontoggle: ({target}) => { row.classList.toggle('opened', target.open); placeMenu(target); }},
        h('summary', {'aria-label': t('board.more', {tag: item.tag})}, '⋯'),
        h('div', {class: 'menu'}, ...more.map(button))));
  }
}

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
