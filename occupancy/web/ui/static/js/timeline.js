// A board's timeline in the form that the plots draw. Pure: no document, no network.
//
// `points` are the API's, with `at` in milliseconds: {at, counts, completions}, by time, joined by
// straight lines. Nothing is known before the first one.

/** The timeline of an API response. */
export function readTimeline({points}) {
  return points.map((point) => ({...point, at: Date.parse(point.at)}));
}

/** The value of `pick` at a time: null before the first point, that of the last point after it. */
export function valueAt(points, at, pick) {
  const next = points.findIndex((point) => point.at >= at);
  if (next === -1) return points.length > 0 ? pick(points.at(-1)) : null;
  const after = points[next];
  if (after.at === at) return pick(after);
  if (next === 0) return null;
  const before = points[next - 1];
  return pick(before) + (pick(after) - pick(before)) * (at - before.at) / (after.at - before.at);
}

/** Rows for a plot: the number of items in each of `states`, from `from` on. */
export function countsOf(points, states, from) {
  const rows = [];
  if (valueAt(points, from, () => 0) !== null) {
    rows.push({at: from, values: states.map((state) => valueAt(points, from, ({counts}) => counts[state]))});
  }
  for (const {at, counts} of points) {
    if (at > from) rows.push({at, values: states.map((state) => counts[state])});
  }
  return rows;
}

/** Rows for a plot: the number of steps completed in each full hour from `from` to `to`. */
export function completedPerHour(points, from, to) {
  const rows = [];
  const steps = (at) => valueAt(points, at, ({completions}) => completions);
  for (let at = hourOf(from); at < to; at = hourOf(at + 3600000)) {
    const until = Math.min(hourOf(at + 3600000), to);
    const began = steps(Math.max(at, from)) ?? points.find((point) => point.at > at)?.completions ?? 0;
    const ended = steps(until);
    rows.push({at: Math.max(at, from), until,
      values: [ended === null ? null : Math.max(0, Math.round(ended) - Math.round(began))]});
  }
  return rows;
}

/** The full hours between two times, every `every` hours. */
export function hoursBetween(from, to, every) {
  const found = [];
  for (let at = hourOf(from + 3600000 - 1); at <= to; at = hourOf(at + 3600000)) {
    if (new Date(at).getHours() % every === 0) found.push(at);
  }
  return found;
}

const CHART_LEAST_MS = 2 * 3600000;
const CHART_MOST_MS = 12 * 3600000;

/** Where a chart up to `to` begins: at the first point, or 2 to 12 hours before. `isWhole`: at the first point. */
export function chartOf(points, to) {
  const first = points[0]?.at ?? to;
  const from = Math.max(to - CHART_MOST_MS, Math.min(to - CHART_LEAST_MS, first));
  return {from, isWhole: from === first};
}

/** The number of steps completed since midnight, or since `since` if less is known. */
export function completedToday(points, now) {
  if (points.length === 0) return null;
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const since = Math.max(midnight, points[0].at);
  const began = valueAt(points, since, ({completions}) => completions);
  // One of before midnight may have been undone since.
  return {count: Math.max(0, Math.round(points.at(-1).completions - began)), since, isWhole: since === midnight};
}

/** The full hour at or before a time; by arithmetic, because an hour may occur twice. */
function hourOf(at) {
  const shift = (new Date(at).getTimezoneOffset() % 60) * 60000;
  return Math.floor((at - shift) / 3600000) * 3600000 + shift;
}
