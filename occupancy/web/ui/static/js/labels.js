// Labels of items: choose the paper and the items, see the first page, print them all in one job.
//
// The page prints itself: css/labels.css gives the pages the paper's size. The drawings come from the
// API, some at a time. They are shown as images, so nothing in a title can run.

import * as api from './api.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {number, t, tn} from './i18n.js';
import {chosenTags, forgetChosen, tagsOf} from './label_choice.js';
import {pagesFor, requestsFor} from './label_requests.js';
import {startManaged} from './managed_page.js';
import {recall, remember} from './memory.js';
import {retried} from './persistent_send.js';
import {explain} from './refusal_text.js';

const {board} = document.body.dataset;
const SETTLED_MS = 250; // after the last key of a search
const MOST_TRIES = 5; // of a request, while the server is busy
const STOCK = 'occupancy-label-stock';

let items = [];
let chosen = null; // tags, or null for what the search finds
let turn = 0; // drawings may arrive after another choice
let timer;
let made = null; // the choice whose pages are all there

function paper() {
  const {value: stock, selectedOptions: [option]} = byId('stock');
  const perPage = Number(option.dataset.labels);
  const first = perPage === 1 ? 1 : Number(byId('first').value);
  return {stock, perPage, page: option.dataset.page, first};
}

function wanted() {
  return chosen ?? tagsOf(items, byId('search').value);
}

/** Shows the choice, and the first page of it. */
async function show() {
  turn += 1;
  const mine = turn;
  made = null;
  const layout = paper();
  byId('chosen').hidden = chosen === null;
  byId('search-field').hidden = chosen !== null;
  byId('first-field').hidden = layout.perPage === 1;
  byId('first').max = layout.perPage;
  const isPlace = Number.isInteger(layout.first) && layout.first >= 1 && layout.first <= layout.perPage;
  setText(byId('first-said'), isPlace ? '' : t('labels.first_wrong', {most: layout.perPage}));
  byId('first').setAttribute('aria-invalid', String(!isPlace));
  const tags = isPlace ? wanted() : [];
  if (chosen) setText(byId('chosen-count'), tn('labels.chosen', chosen.length));
  setText(byId('count'), sayCount(tags, layout, isPlace));
  byId('print').disabled = tags.length === 0;
  setText(byId('print-said'), '');
  setText(byId('leads'), '');
  fill(byId('sheets'));
  byId('sheets').className = `sheets on-${layout.page}`;
  if (tags.length === 0) return;
  const shown = tags.slice(0, layout.perPage - layout.first + 1);
  try {
    const answer = await drawn(requestsFor(shown, layout)[0].query);
    if (mine !== turn) return;
    fill(byId('sheets'), ...answer.pages.map(sheet));
    setText(byId('leads'), t('labels.leads', {address: answer.board_url}));
    sayMissing(answer.missing);
  } catch (problem) {
    if (problem.status === undefined) throw problem; // a bug of the page
    if (mine === turn) await refused(problem);
  }
}

function sayCount(tags, layout, isPlace) {
  if (!isPlace) return '';
  if (tags.length === 0) return t(items.length === 0 ? 'labels.no_items' : 'labels.none');
  const labels = tn('labels.count', tags.length);
  return layout.perPage === 1 ? labels : `${labels} · ${tn('labels.pages', pagesFor(tags.length, layout))}`;
}

function sheet(svg, index) {
  return h('img', {class: 'sheet', alt: t('labels.page', {number: number(index + 1)}),
    src: `data:image/svg+xml,${encodeURIComponent(svg)}`});
}

function sayMissing(missing) {
  if (missing.length > 0) setText(byId('print-said'), t('labels.missing', {tags: missing.join(', ')}));
}

/** The pages of one request; it waits its turn while the server is busy. */
function drawn(query) {
  return retried(() => api.get(`/api/boards/${board}/labels?${query}`, {timeoutMs: 60000}), {tries: MOST_TRIES});
}

async function refused(problem) {
  if (problem.status === 401) await reload();
  else setText(byId('print-said'), explain(problem));
}

/** Draws all pages, unless they are there, and opens the browser's dialog for printing. */
async function printAll() {
  if (made === null) {
    clearTimeout(timer); // the choice of this moment counts
    show();
    if (byId('print').disabled) return;
  }
  const tags = wanted();
  if (made === null) {
    turn += 1;
    const mine = turn;
    byId('print').disabled = true;
    const pages = [];
    const missing = [];
    let done = 0;
    try {
      for (const {query, count} of requestsFor(tags, paper())) {
        setText(byId('print-said'), t('labels.drawing', {done: number(done), all: number(tags.length)}));
        const answer = await drawn(query);
        if (mine !== turn) return;
        pages.push(...answer.pages);
        missing.push(...answer.missing);
        setText(byId('leads'), t('labels.leads', {address: answer.board_url}));
        done += count;
      }
      const images = pages.map(sheet);
      fill(byId('sheets'), ...images);
      byId('sheets').classList.toggle('whole', images.length > 1);
      await Promise.all(images.map((each) => each.decode())); // else the print may lack some
      if (mine !== turn) return;
      setText(byId('print-said'), '');
      sayMissing(missing);
      made = tags;
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      if (mine === turn) await refused(problem);
      return;
    } finally {
      if (mine === turn) byId('print').disabled = false;
    }
  }
  if (byId('sheets').children.length === 0) return; // all items are gone; said above
  announce(t('labels.ready'));
  globalThis.print();
}

async function load(isCurrent) {
  const found = [];
  for (let page = ''; page !== null;) {
    const answer = await api.get(`/api/boards/${board}/items${page && `?page=${encodeURIComponent(page)}`}`);
    if (!isCurrent()) return;
    found.push(...answer.items);
    page = answer.next;
  }
  items = found;
  chosen = chosenTags(board);
  show(); // the rest of the page need not wait for the drawing
}

function clear() {
  turn += 1;
  items = [];
  fill(byId('sheets'));
}

byId('stock').value = recall('localStorage', STOCK) ?? byId('stock').value;
if (byId('stock').selectedIndex < 0) byId('stock').selectedIndex = 0; // one that there was earlier
byId('choice').addEventListener('submit', (event) => event.preventDefault());
for (const id of ['search', 'first']) {
  byId(id).addEventListener('input', () => {
    turn += 1; // what is being drawn is not wanted any more
    made = null;
    clearTimeout(timer);
    timer = setTimeout(show, SETTLED_MS);
  });
}
byId('stock').addEventListener('change', () => {
  remember('localStorage', STOCK, byId('stock').value);
  byId('first').value = '1';
  show();
});
byId('take-all').addEventListener('click', () => {
  forgetChosen();
  chosen = null;
  show();
  byId('search').focus();
});
byId('print').addEventListener('click', printAll);

const reload = startManaged('supervisor', {load, clear});
