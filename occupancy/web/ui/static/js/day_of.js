// Days of this device's time zone, as '2026-11-29', and how much of a hold lies in one. Pure.

/** The day of a moment. */
export function dayOf(ms) {
  const date = new Date(ms);
  const two = (value) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The moment (ms) at which a day begins; null for what is no day. */
export function midnightOf(day) {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day);
  if (!parts) return null;
  const date = new Date(Number(parts[1]), parts[2] - 1, Number(parts[3]));
  return dayOf(date) === day ? date.getTime() : null;
}

/** The day so many days later: not 24 hours, because a clock is put forward or back. */
export function dayAfter(day, days) {
  const [year, month, date] = day.split('-').map(Number);
  return dayOf(new Date(year, month - 1, date + days));
}

/** The seconds between two moments in which at least one of the holds ran: two at once are worked on at once. */
export function workedIn(holds, beginMs, endMs) {
  const spans = holds.map((each) => spanOf(each, beginMs, endMs)).sort(([one], [other]) => one - other);
  let sum = 0;
  let until = beginMs;
  for (const [from, to] of spans) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum / 1000;
}

/** The seconds of a hold ({began_at, ended_at}) between two moments (ms). */
export function lastsOf(hold, beginMs, endMs) {
  const [from, to] = spanOf(hold, beginMs, endMs);
  return Math.max(0, to - from) / 1000;
}

function spanOf(hold, beginMs, endMs) {
  return [
    Math.max(hold.began_at ? Date.parse(hold.began_at) : beginMs, beginMs),
    Math.min(hold.ended_at ? Date.parse(hold.ended_at) : endMs, endMs),
  ];
}
