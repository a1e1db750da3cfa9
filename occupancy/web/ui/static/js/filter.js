// A board's view: what is shown of its items, in which layout and order.
//
// It stands in the page's address, so it can be shared. Without a view in the address the page takes the one that
// this tab has shown last, or else the one that was last chosen on this device, but without the searched text: nobody
// wants to find yesterday's search on a shared tablet.

import {recall, remember} from './memory.js';
import {GROUPS, SORTS, attributeOf} from './sorting.js';

export const NONE = {state: '', step: '', mine: false, text: ''};
export const LAYOUTS = ['cards', 'table', 'columns'];
const DEFAULTS = {cards: 'section', table: 'none', columns: 'column'};
const NAMES = ['state', 'step', 'mine', 'q', 'layout', 'sort', 'group'];
const MOST_WRITES = 60; // in SPAN_MS; a browser allows 100
const SPAN_MS = 30000;

const key = `occupancy-view-${document.body.dataset.board}`;
const writes = []; // when the address was written
let due = 0;

export function readView() {
  const here = new URLSearchParams(location.search);
  if (NAMES.some((name) => here.has(name))) {
    remember('sessionStorage', key, String(here)); // who comes back from an item finds it again
    return viewOf(here);
  }
  return viewOf(new URLSearchParams(recall('sessionStorage', key) ?? recall('localStorage', key) ?? ''));
}

function viewOf(query) {
  const layout = LAYOUTS.find((each) => each === query.get('layout')) ?? 'cards';
  const sort = query.get('sort') ?? '';
  const by = sort.replace(/^-/, '');
  return {
    state: query.get('state') ?? '', step: query.get('step') ?? '', mine: query.has('mine'),
    text: query.get('q') ?? '', layout,
    sort: isKnown(by, SORTS) ? by : 'state', isReversed: sort.startsWith('-'),
    group: groupFor(layout, query.get('group') ?? ''),
  };
}

/** What a layout groups by: what was wished, where it can. */
export function groupFor(layout, wished) {
  return layout !== 'columns' && isKnown(wished, GROUPS) ? wished : DEFAULTS[layout];
}

function isKnown(by, known) {
  return known.includes(by) || attributeOf(by) !== null;
}

export function writeView(view) {
  const query = new URLSearchParams();
  if (view.state) query.set('state', view.state);
  if (view.step) query.set('step', view.step);
  if (view.mine) query.set('mine', '');
  if (view.text) query.set('q', view.text);
  if (view.layout !== 'cards') query.set('layout', view.layout);
  if (view.sort !== 'state' || view.isReversed) query.set('sort', `${view.isReversed ? '-' : ''}${view.sort}`);
  if (view.group !== DEFAULTS[view.layout]) query.set('group', view.group);
  write(query.size ? `?${query}` : location.pathname);
  remember('sessionStorage', key, String(query));
  query.delete('q');
  if (recall('localStorage', key) !== String(query)) remember('localStorage', key, String(query));
}

function write(address) {
  const nowMs = performance.now();
  clearTimeout(due);
  while (writes[0] < nowMs - SPAN_MS) writes.shift();
  if (writes.length < MOST_WRITES) {
    writes.push(nowMs);
    history.replaceState(null, '', address);
  } else {
    due = setTimeout(write, 1000, address);
  }
}
