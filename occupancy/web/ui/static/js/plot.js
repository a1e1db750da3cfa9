// Plots: small charts of numbers over time, as SVG made with DOM calls.
//
// A plot is made once and redrawn in place, so its number of elements stays small however long a page
// runs. It is only a picture: its caller describes it in words, and shows the numbers in a table or
// beside it.

const SVG = 'http://www.w3.org/2000/svg';
const MOST_X_TICKS = 14;
let hatches = 0;

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/**
 * A scale from 0 to a round number, with few round steps in between: [top, step].
 * `least` is the smallest top; `whole` allows no fractions.
 */
export function scale(most, {least = 1, whole = true, steps = 3} = {}) {
  const wanted = Math.max(most, least);
  const factors = steps === 1 ? [1, 2, 3, 4, 5, 6, 8] : [1, 2, 5]; // a top alone can be closer
  for (let power = 10 ** Math.floor(Math.log10(wanted / steps)); ; power *= 10) {
    for (const factor of factors) {
      const step = factor * power;
      // Rounded, because 3 * 0.1 is a little more than 0.3.
      const count = Math.ceil(Number((wanted / step).toPrecision(9)));
      if (count <= steps && (!whole || step >= 1)) return [count * step, step];
    }
  }
}

/** The runs of points between gaps: a point whose value is null ends one. */
export function runs(points) {
  const found = [];
  let run = [];
  for (const point of [...points, {value: null}]) {
    if (point.value !== null) run.push(point);
    else if (run.length > 0) {
      found.push(run);
      run = [];
    }
  }
  return found;
}

/**
 * `series` in drawing order: {name, kind, hatched}. Kinds: 'stack' (stacked areas), 'line', 'bar'
 * (with its number above it). The name becomes the class of its elements. A bare plot has no scale:
 * its bars show their numbers.
 */
export class Plot {
  constructor({series, format = String, isBare = false}) {
    this.series = series;
    this.format = format;
    this.isBare = isBare;
    this.data = null;
    this.grid = svg('path', {class: 'grid'});
    this.limit = svg('path', {class: 'limit'});
    this.labels = svg('g', {class: 'labels', 'aria-hidden': 'true'});
    this.parts = series.map(({name, kind, hatched}) => {
      const area = svg('path', {class: `${kind} ${name}`});
      if (!hatched) return {area, all: [area]};
      hatches += 1;
      const id = `hatch-${hatches}`;
      const pattern = svg('pattern', {id, width: 8, height: 8, patternUnits: 'userSpaceOnUse',
        patternTransform: `rotate(${hatched})`}, svg('path', {d: 'M0 0V8', class: 'hatch'}));
      const over = svg('path', {fill: `url(#${id})`});
      return {area, over, all: [svg('defs', {}, pattern), area, over]};
    });
    this.element = svg('svg', {class: 'plot', role: 'img'},
      ...this.parts.flatMap(({all}) => all), this.grid, this.limit, this.labels);
    this.observer = new ResizeObserver(() => { if (this.data) this.#draw(); });
    this.observer.observe(this.element);
  }

  /** Releases the observer; the owner removes the element. */
  remove() {
    this.observer.disconnect();
  }

  /**
   * Draws rows [{at, values: [one for each series, or null]}] by time from `from` to `to` (ms);
   * a bar reaches from its row's `at` to its `until`. `ticks`: [{at, text}]. `label`: the description
   * in words. `limit`: an upper bound of the values, marked by a line.
   */
  draw({from, to, rows, ticks = [], label, least = 1, whole = true, limit = null}) {
    this.data = {from, to, rows, ticks, least, whole, limit};
    this.element.setAttribute('aria-label', label);
    this.#draw();
  }

  #draw() {
    const {from, to, rows, ticks, least, whole, limit} = this.data;
    const {clientWidth: width, clientHeight: height} = this.element;
    if (width === 0 || height === 0) return; // hidden; the observer reports when it is shown
    const em = parseFloat(getComputedStyle(this.element).fontSize);
    const left = 2.4 * em; // for bare plots too: plots below each other share a time scale
    const right = width - 0.8 * em;
    const low = height - 1.6 * em;
    const high = 1.1 * em;
    const stacked = this.#stack(rows);
    const most = Math.max(0, limit ?? 0, ...stacked.flatMap((points) => points.map(({value}) => value ?? 0)));
    const steps = Math.min(3, Math.max(1, Math.floor((low - high) / (2 * em))));
    const [top, step] = this.isBare ? [Math.max(most, least)] : scale(most, {least, whole, steps});
    const x = (at) => round(left + (right - left) * Math.min(1, Math.max(0, (at - from) / (to - from))));
    const y = (value) => round(low - (low - high) * value / top);

    const texts = [];
    let grid = '';
    if (this.isBare) grid += `M${round(left)} ${y(0)}H${round(right)}`;
    for (let value = 0; value <= top * 1.001 && !this.isBare; value += step) {
      grid += `M${round(left)} ${y(value)}H${round(right)}`;
      texts.push(['end', left - 0.4 * em, y(value) + 0.35 * em, this.format(value)]);
    }
    for (const {at, text} of ticks.slice(0, MOST_X_TICKS)) {
      grid += `M${x(at)} ${round(low)}v${round(0.3 * em)}`;
      const half = 0.3 * em * text.length; // at least the width of digits
      texts.push(['middle', Math.min(x(at), right + 0.6 * em - half), height - 0.25 * em, text]);
    }
    this.series.forEach(({kind}, index) => {
      const points = stacked[index];
      const {area, over} = this.parts[index];
      const drawn = DRAWN[kind](points, x, y, em);
      area.setAttribute('d', drawn);
      over?.setAttribute('d', drawn);
      for (const {at, until, value} of kind === 'bar' ? points : []) {
        if (value > 0) {
          texts.push(['middle', (x(at) + x(until)) / 2, y(value) - 0.3 * em, this.format(value), 'value']);
        }
      }
    });
    this.grid.setAttribute('d', grid);
    this.limit.setAttribute('d', limit === null ? '' : `M${round(left)} ${y(limit)}H${round(right)}`);
    this.#write(texts);
  }

  /** The points of each series; stacked ones include the values below them. */
  #stack(rows) {
    const below = rows.map(() => 0);
    return this.series.map(({kind}, index) => rows.map(({at, until, values}, row) => {
      const value = values[index];
      if (kind !== 'stack') return {at, until, value};
      const base = below[row];
      below[row] += value ?? 0;
      return {at, base, value: value === null ? null : base + value};
    }));
  }

  /** Replaces the labels and reuses their elements, so there are never more than once needed. */
  #write(texts) {
    while (this.labels.children.length < texts.length) this.labels.append(svg('text'));
    [...this.labels.children].forEach((element, index) => {
      const [anchor, x, y, text, kind = ''] = texts[index] ?? ['', 0, 0, ''];
      element.setAttribute('text-anchor', anchor || 'start');
      element.setAttribute('x', round(x));
      element.setAttribute('y', round(y));
      element.setAttribute('class', kind);
      if (element.textContent !== text) element.textContent = text;
    });
  }
}

function round(value) {
  return Math.round(value * 10) / 10;
}

function areas(points, x, y) {
  return runs(points).map((run) => {
    const upper = run.map(({at, value}) => `${x(at)} ${y(value)}`);
    const lower = run.map(({at, base}) => `${x(at)} ${y(base)}`).reverse();
    return `M${[...upper, ...lower].join('L')}Z`;
  }).join('');
}

function lines(points, x, y) {
  // A run of one point would be invisible, so it is drawn as a short dash.
  return runs(points).map((run) => `M${run.map(({at, value}) => `${x(at)} ${y(value)}`).join('L')}${
    run.length === 1 ? 'h2' : ''}`).join('');
}

function bars(points, x, y, em) {
  const gap = 0.12 * em;
  return points.filter(({value}) => value > 0).map(({at, until, value}) => (
    `M${round(x(at) + gap)} ${y(0)}V${y(value)}H${Math.max(round(x(until) - gap), round(x(at) + gap + 1))}V${y(0)}Z`
  )).join('');
}

const DRAWN = {stack: areas, line: lines, bar: bars};
