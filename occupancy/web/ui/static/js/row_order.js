// The order of the list's rows while the board changes. Pure.
//
// While somebody uses the list, rows keep their places whatever happens to their items: a new state, a
// filter that excludes them, removal. New items wait. The waiting changes are counted, and take effect
// at the next regrouping.

export class RowOrder {
  constructor() {
    this.items = []; // in the present order
    this.groups = [];
    this.entries = []; // of the selection, as they were when the rows were placed
    this.places = null; // tag → index, from the first change on that waits
    this.waiting = new Set(); // tags of what a regrouping would move, add or drop
  }

  get changes() {
    return this.waiting.size;
  }

  regroup({shown, groups}) {
    this.entries = shown;
    this.items = shown.map(({item}) => item);
    this.groups = groups;
    this.places = null;
    this.waiting.clear();
  }

  /**
   * Keeps every item in its place. `tags` are of those that have changed, null for all; `selection` says where they
   * belong now, and `known` has the current items by tag.
   */
  keep(tags, selection, known) {
    this.places ??= new Map(this.entries.map(({tag}, index) => [tag, index]));
    for (const tag of tags ?? [...this.places.keys(), ...selection.shown.map((entry) => entry.tag)]) {
      const index = this.places.get(tag);
      const now = selection.get(tag);
      const before = this.entries[index];
      if (before) this.items[index] = known.get(tag) ?? {...this.items[index], state: 'removed', holder: null};
      const isThere = before && now ? before.group === now.group && before.key === now.key : before === now;
      if (isThere) this.waiting.delete(tag);
      else this.waiting.add(tag);
    }
  }
}
