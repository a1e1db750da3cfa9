// The items of a board for supervisors: to find, add, edit and remove them, print labels, and export.
//
// The whole board is in memory, and a page of 100 rows in the document, so a search is instant.

import * as api from './api.js';
import {announce, byId, fill, h, setText} from './dom.js';
import {language, number, t, tn} from './i18n.js';
import {ItemSearch, attributeNames} from './item_search.js';
import {readFilter, writeFilter} from './items_filter.js';
import {openItemForm} from './items_form.js';
import {openRemoval} from './items_removal.js';
import {keepForLabels, labelsAddress} from './labels_link.js';
import {startManaged} from './managed_page.js';
import {STATES} from './model.js';

const PAGE = 100;
const SHOWN_ATTRIBUTES = 4;
const REFRESH_MS = 20000;
const {board} = document.body.dataset;
const path = `/api/boards/${board}`;
const rows = byId('rows').tBodies[0];

let search = new ItemSearch([]);
let titles = {};
let itemName;
let steps = [];
let shown = [];
let page = 0;
let cursor = null;
const chosen = new Set(); // tags

async function load(isCurrent) {
  const [settings, found] = await Promise.all([api.get(path), wholeBoard()]);
  if (!isCurrent()) return;
  ({steps, step_titles: titles, item_name: itemName} = settings);
  if (cursor === found.cursor) return;
  ({cursor} = found);
  setText(byId('title'), `${t('page.items')} · ${settings.title}`);
  search = new ItemSearch(found.items);
  drawFilters();
  draw();
}

async function wholeBoard() {
  const found = await api.get(`${path}/items`);
  while (found.next) {
    const more = await api.get(`${path}/items?page=${encodeURIComponent(found.next)}`);
    found.items.push(...more.items);
    found.next = more.next;
  }
  return found;
}

function clear() {
  cursor = null;
  search = new ItemSearch([]);
  chosen.clear();
  fill(rows);
  byId('result').hidden = true;
  setText(byId('title'), `${t('page.items')} · ${board}`);
}

function drawFilters() {
  const filter = readFilter();
  const option = (value, text) => h('option', {value}, text);
  fill(byId('state'), option('', t('items.all_states')), ...STATES.map((each) => option(each, t(`state.${each}`))));
  fill(byId('step'), option('', t('filter.all_steps')), ...steps.map((each) => option(each, titles[each] ?? each)));
  byId('state').value = filter.state;
  byId('step').value = steps.includes(filter.step) ? filter.step : '';
  byId('step').parentElement.hidden = steps.length < 2;
  if (document.activeElement !== byId('search')) byId('search').value = filter.text;
}

function filterOfForm() {
  return {text: byId('search').value, state: byId('state').value, step: byId('step').value};
}

function draw() {
  const filter = filterOfForm();
  const isFiltered = Boolean(filter.text.trim() || filter.state || filter.step);
  shown = search.select(filter);
  page = Math.max(0, Math.min(page, Math.ceil(shown.length / PAGE) - 1));
  const tags = new Set(shown.map((item) => item.tag));
  for (const tag of chosen) if (!tags.has(tag)) chosen.delete(tag); // what is not shown is not chosen
  drawRows();
  byId('clear').hidden = !isFiltered;
  byId('none').hidden = shown.length > 0;
  setText(byId('none'), search.items.length === 0 ? t('items.none') : t('items.no_match'));
  byId('rows').hidden = shown.length === 0;
  byId('pages').hidden = shown.length <= PAGE;
  byId('previous').disabled = page === 0;
  byId('next').disabled = (page + 1) * PAGE >= shown.length;
  setText(byId('page-of'), t('items.page_of', {first: number(page * PAGE + 1),
    last: number(Math.min((page + 1) * PAGE, shown.length)), all: number(shown.length)}));
  drawExport(filter, isFiltered);
  drawChosen();
}

function drawRows() {
  const focused = document.activeElement?.dataset?.key;
  fill(rows, ...shown.slice(page * PAGE, (page + 1) * PAGE).map(row));
  if (focused && rows.isConnected) rows.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

function row(item) {
  const {tag, state, holder} = item;
  const attributes = Object.entries(item.attributes).map(([name, value]) => `${name}: ${value ?? ''}`);
  const rest = attributes.length - SHOWN_ATTRIBUTES;
  return h('tr', {'data-tag': tag},
    h('td', {}, h('label', {class: 'tick alone'}, h('span', {class: 'unseen'}, t('items.choose', {tag})),
      h('input', {type: 'checkbox', 'data-key': `c ${tag}`, checked: chosen.has(tag),
        onchange({currentTarget}) {
          if (currentTarget.checked) chosen.add(tag);
          else chosen.delete(tag);
          drawChosen();
        }}))),
    h('th', {scope: 'row'}, h('a', {'data-key': `t ${tag}`,
      href: `/boards/${board}/items/${encodeURIComponent(tag)}`}, tag)),
    h('td', {}, item.title),
    h('td', {class: 'state-cell'}, h('span', {class: 'state'},
      h('span', {class: `mark ${state}`, 'aria-hidden': 'true'}), t(`state.${state}`)),
      h('span', {class: 'holder'}, [holder?.name, steps.length > 1 && (titles[item.step] ?? item.step)]
        .filter(Boolean).join(' · '))),
    h('td', {class: 'attributes-cell'}, attributes.slice(0, SHOWN_ATTRIBUTES).join(' · '),
      rest > 0 && ` · +${number(rest)}`),
    h('td', {}, h('div', {class: 'buttons'},
      h('button', {type: 'button', 'data-key': `e ${tag}`, 'aria-label': t('items.edit_title', {tag}),
        onclick: () => edit(item)}, t('items.edit')),
      h('button', {type: 'button', class: 'danger', 'data-key': `r ${tag}`, 'aria-label': t('items.remove_one', {tag}),
        onclick: () => remove([item])}, t('items.remove')))));
}

function drawChosen() {
  const all = byId('choose-all');
  all.checked = chosen.size > 0 && chosen.size === shown.length;
  all.indeterminate = chosen.size > 0 && chosen.size < shown.length;
  all.parentElement.hidden = shown.length === 0;
  setText(byId('choose-all-text'), tn('items.choose_all', shown.length));
  setText(byId('chosen'), chosen.size > 0 ? tn('items.chosen', chosen.size) : '');
  byId('to-labels').hidden = chosen.size === 0;
  byId('remove-chosen').hidden = chosen.size === 0;
  byId('to-labels').href = labelsAddress(board, [...chosen]);
}

function drawExport({text, state, step}, isFiltered) {
  setText(byId('export-shown-title'), tn('items.export_shown', shown.length));
  byId('export-all').hidden = !isFiltered;
  for (const link of document.querySelectorAll('#export [data-format]')) {
    const query = new URLSearchParams({format: link.dataset.format, lang: language});
    if (byId('export-full').checked) query.set('full', 'true');
    if (link.dataset.what === 'shown') {
      for (const [name, value] of [['q', text.trim()], ['state', state], ['step', step]]) {
        if (value) query.set(name, value);
      }
    }
    link.href = `${path}/export?${query}`;
    link.setAttribute('aria-label', `${t('items.export')}: ${link.textContent}`);
  }
}

async function edit(item) {
  const saved = await openItemForm(board, {item, names: attributeNames(search.items)});
  if (!saved) return;
  announce(t('items.saved', {tag: saved.tag}));
  await reload();
  rows.querySelector(`[data-key="${CSS.escape(`e ${saved.tag}`)}"]`)?.focus();
}

async function add() {
  const saved = await openItemForm(board, {names: attributeNames(search.items)});
  if (!saved) return;
  await reload();
  const isShown = shown.findIndex((each) => each.tag === saved.tag);
  if (isShown >= 0 && Math.floor(isShown / PAGE) !== page) {
    page = Math.floor(isShown / PAGE);
    draw();
  }
  const link = rows.querySelector(`[data-key="${CSS.escape(`t ${saved.tag}`)}"]`);
  (link ?? byId('add')).focus();
  announce(t('items.added', {tag: saved.tag}));
}

async function remove(items) {
  const result = await openRemoval(board, items, itemName);
  if (!result) return;
  for (const tag of result.removed) chosen.delete(tag);
  setText(byId('result-title'), result.removed.length === 0 ? t('items.none_removed')
    : tn('items.removed', result.removed.length));
  fill(byId('refusals'), ...result.refused.map(([{tag}, why]) => h('li', {}, h('strong', {}, tag), ': ', why)));
  byId('result').hidden = false;
  await reload();
  byId('result').focus();
}

function goTo(other) {
  page = other;
  draw();
  byId('rows').scrollIntoView({block: 'start'});
}

function filterChanged() {
  page = 0;
  writeFilter(filterOfForm());
  draw();
}

byId('filters').addEventListener('submit', (event) => event.preventDefault());
for (const name of ['search', 'state', 'step']) byId(name).addEventListener('input', filterChanged);
byId('clear').addEventListener('click', () => {
  for (const name of ['search', 'state', 'step']) byId(name).value = '';
  filterChanged();
  byId('search').focus();
});
byId('add').addEventListener('click', add);
byId('remove-chosen').addEventListener('click', () => remove(shown.filter((item) => chosen.has(item.tag))));
byId('result-close').addEventListener('click', () => {
  byId('result').hidden = true;
  byId('search').focus();
});
byId('choose-all').addEventListener('change', () => {
  for (const item of shown) {
    if (byId('choose-all').checked) chosen.add(item.tag);
    else chosen.delete(item.tag);
  }
  drawRows();
  drawChosen();
});
byId('to-labels').addEventListener('click', () => keepForLabels(board, [...chosen]));
byId('export-full').addEventListener('change', draw);
byId('export').addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  byId('export').open = false;
  byId('export').querySelector('summary').focus();
});
byId('previous').addEventListener('click', () => goTo(page - 1));
byId('next').addEventListener('click', () => goTo(page + 1));

const reload = startManaged('supervisor', {load, clear});
// Others change the board too; while somebody looks at a dialog, nothing moves behind it.
setInterval(() => {
  if (!document.hidden && !byId('managed').hidden && !document.querySelector('dialog[open]')) reload();
}, REFRESH_MS);
