// The view of a board: its items in one of three layouts, in the order and groups that the user has chosen.
//
// An event changes one item. What follows from it is drawn once in the next frame: the selection and the rows' order
// move that item only, and nothing here reads the page's geometry in between, so each event costs one layout.

import {Attention} from './attention.js';
import {lookOfCards} from './card.js';
import {Columns} from './columns.js';
import {byId, fill, h, setHidden, setText} from './dom.js';
import {number, t, tn} from './i18n.js';
import {List} from './list.js';
import {keepPlace, takePlace} from './places.js';
import {RowOrder} from './row_order.js';
import {Selection} from './selection.js';
import {SECTIONS, attributeOf} from './sorting.js';
import {Table, columnsOf} from './table.js';
import {ignoreTaps} from './tap_filter.js';

const NO_GROUPS = []; // one array, by which a list knows that nothing has moved

export class BoardView {
  /**
   * `view` is what is shown (filter.js), and `reader()` is {worker, steps}. `onShown()` is called after each
   * drawing, and `onSort(by)` when the user touches the heading of a column.
   */
  constructor(view, {model, settings, card, reader, isLoaded, onShown, onSort}) {
    Object.assign(this, {view, model, settings, reader, isLoaded, onShown});
    this.selection = new Selection(model);
    this.order = new RowOrder();
    this.pending = null; // tags of items that have changed since the last drawing; null for all
    this.used = ''; // the reader of that drawing
    this.isFiltered = true; // whether the user has changed the view since
    this.attention = new Attention(byId('layouts-shown'), () => this.soon());
    this.titleOf = (group, heading) => this.#showTitle(group, heading);
    this.table = new Table(card.parts, {settings, titleOf: this.titleOf, onSort});
    const look = lookOfCards(card, this.titleOf);
    this.layouts = {
      cards: new List(byId('items'), look),
      table: new List(byId('table-rows'), this.table.look),
      columns: new Columns(byId('columns'), look),
    };
    this.places = {cards: byId('items'), table: byId('table'), columns: byId('columns')};
    for (const [name, layout] of Object.entries(this.layouts)) layout.hide(name !== view.layout);
    byId('changes').addEventListener('click', () => {
      this.#follow();
      this.#regroup({isAnchored: true});
      this.soon();
    });
    this.kept = takePlace();
    keepPlace(() => this.sighted);
  }

  get list() {
    return this.layouts[this.view.layout];
  }

  get sighted() {
    const {layout} = this.view;
    return layout !== 'columns' && scrollY === 0 ? null : {layout, ...this.list.sighted};
  }

  /** Whether rows keep their places. An empty list has none. */
  get isHeld() {
    return this.attention.isHeld && this.isLoaded() && this.order.items.length > 0;
  }

  /** Items have changed; `tags` is null for all. */
  changed(tags) {
    if (tags === null) this.pending = null;
    else if (this.pending) for (const tag of tags) this.pending.add(tag);
    this.soon();
  }

  /** The user has chosen another view, and expects the list to change at once. */
  filtered() {
    this.isFiltered = true;
    this.attention.release();
    this.soon();
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const {isFiltered} = this;
    const tags = this.#follow();
    if (isFiltered || !this.isHeld) {
      this.#regroup({isAnchored: !isFiltered});
    } else {
      if (tags === null || tags.size > 0) this.order.keep(tags, this.selection, this.model.items);
      this.#show();
    }
    if (this.kept && this.isLoaded()) {
      if (this.kept.layout === this.view.layout) this.list.scrollTo(this.kept);
      this.kept = null;
    }
    this.#showChanges();
    this.onShown(this.selection.shown.length);
  }

  /** Lets the selection follow; answers the tags of the items that have changed, null for all. */
  #follow() {
    const reader = this.reader();
    const used = JSON.stringify(reader);
    const tags = this.pending;
    this.pending = new Set();
    if (tags === null) this.selection.forget();
    else if (tags.size > 0) this.selection.change(tags);
    if (tags !== null && !this.isFiltered && used === this.used) return tags;
    if (this.isFiltered || used !== this.used) this.#layOut();
    this.selection.use(this.view, reader);
    this.isFiltered = false;
    this.used = used;
    return null;
  }

  #regroup(how) {
    if (this.selection.shown !== this.order.entries || this.order.changes > 0) this.order.regroup(this.selection);
    this.#show(how);
  }

  #show({isAnchored = false} = {}) {
    const {items, groups} = this.order;
    const {layout, group} = this.view;
    const isTitled = group === 'section' ? groups.length > 1 : group !== 'none';
    this.list.show({items, groups: layout === 'columns' || isTitled ? groups : NO_GROUPS}, {
      isAnchored, countOf: (value) => this.#countOf(value)});
  }

  #showChanges() {
    const button = byId('changes');
    const {changes} = this.order;
    if (button.hidden && changes > 0) ignoreTaps(button);
    setHidden(button, changes === 0);
    if (changes > 0) setText(button.firstElementChild, tn('board.changes', changes));
  }

  #countOf(value) {
    return this.selection.groups.find((group) => group.value === value)?.count ?? 0;
  }

  #showTitle({value, item}, heading) {
    const {group} = this.view;
    const attribute = attributeOf(group);
    const title = attribute !== null ? String(item.attributes?.[attribute] ?? t('group.none'))
      : group === 'section' ? t(`section.${SECTIONS[value]}`)
        : group === 'step' ? this.settings.titleOf(item.step) : item.holder?.name ?? t('group.nobody');
    setText(heading, `${title} · ${number(this.#countOf(value))}`);
  }

  /** Redraws what depends on the board's settings. */
  settle() {
    this.used = ''; // the headings, too
    this.list.redraw();
    this.soon();
  }

  /** Draws what frames the rows: which layout, and its headings. */
  #layOut() {
    const {steps} = this.reader();
    const {layout} = this.view;
    for (const [name, place] of Object.entries(this.places)) place.hidden = name !== layout;
    document.body.dataset.layout = layout;
    if (layout === 'table') this.table.head(columnsOf(this.attributes, steps.length > 1), this.view);
    if (layout === 'columns') this.layouts.columns.set(this.#columns(steps));
    for (const [name, each] of Object.entries(this.layouts)) {
      if (name !== layout) each.show({items: [], groups: []}, {countOf: () => 0});
      each.hide(name !== layout);
    }
  }

  #columns(steps) {
    if (steps.length < 2) return SECTIONS.map((section, value) => ({value, title: t(`section.${section}`)}));
    return [...steps.map((step) => this.settings.titleOf(step)), t('state.completed')]
      .map((title, value) => ({value, title}));
  }

  get attributes() {
    return this.settings.board?.settings.shown_attributes ?? [];
  }
}

/** Fills a select with [[value, text], …]. */
export function fillSelect(select, options, chosen) {
  fill(select, ...options.map(([value, text]) => h('option', {value, selected: value === chosen}, text)));
}
