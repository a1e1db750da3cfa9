// The monitor keeps the service's figures of the last ten minutes and finds the problems in them. Pure:
// no document, no network. Its data is bounded in time and in number.

export const WINDOW_MS = 10 * 60 * 1000;
const MOST_ROWS = 400;
const GAP_MS = 8000;
const NEAR = 0.9; // of the budget
const LATE_MS = 1000;

/**
 * `totals` and each of `processes` ({name, pid, rows}) have rows by time: {at, …figures}. An unknown
 * figure is null: a gap, and not a zero.
 */
export class Monitor {
  constructor() {
    this.stats = null; // the last response
    this.statsAt = null;
    this.totals = [];
    this.processes = new Map();
  }

  /** Takes a response of /api/redis-connection-stats, or null if there was none. */
  add(stats, at) {
    const last = this.totals.at(-1)?.at;
    if (at - last > GAP_MS) this.add(null, last + 1); // the page was hidden and did not poll
    if (stats) {
      this.stats = stats;
      this.statsAt = at;
      for (const {process: name, pid} of stats.workers) {
        if (!this.processes.has(name)) this.processes.set(name, {name, pid, rows: []});
      }
    }
    const reported = new Map((stats?.workers ?? []).map((each) => [each.process, each]));
    for (const process of this.processes.values()) {
      process.now = reported.get(process.name) ?? null;
      keep(process.rows, {at, ...figuresOf(process.now)}, at);
    }
    keep(this.totals, {at, ...totalsOf(stats)}, at);
    // A process that has ended stays while the window contains rows of it.
    for (const [name, {now, rows}] of this.processes) {
      if (now === null && rows.every(({inUse}) => inUse === null)) this.processes.delete(name);
    }
  }

  /** The growth of a counter within the window, over all processes. */
  grown(counter) {
    let sum = 0;
    for (const {rows} of this.processes.values()) {
      const known = rows.map((row) => row[counter]).filter((value) => value !== null);
      for (let index = 1; index < known.length; index += 1) sum += Math.max(0, known[index] - known[index - 1]);
    }
    return sum;
  }

  /** The problems: [{level, key, values}], worst first; `health` and `ready` are the last responses. */
  findings({isFresh, ready, health}) {
    const found = [];
    const say = (level, key, values = {}) => found.push({level, key, values});
    if (!isFresh) say('bad', 'status.no_figures', {since: this.statsAt});
    if (health && health.status !== 'healthy') say('bad', 'status.redis_away');
    if (ready?.reasons) say('bad', 'status.not_ready', {reasons: Object.values(ready.reasons).join('; ')});
    const timeouts = this.grown('timeouts');
    if (timeouts > 0) say('bad', 'status.timed_out', {count: timeouts});
    if (!this.stats) return found;
    const {budget, workers, servers = [], sentinels = [], promotions} = this.stats;
    for (const {address, role, status} of servers) {
      if (status !== 'healthy') say(role === 'primary' ? 'bad' : 'warn', 'status.server_away', {server: address});
    }
    for (const {address, status} of sentinels) {
      if (status !== 'healthy') say('warn', 'status.sentinel_away', {server: address});
    }
    const {server, used} = fullestOf(this.stats);
    if (used !== null && used >= NEAR * budget.limit) say('bad', 'status.budget_near', {used, limit: budget.limit});
    const fewest = Math.min(...[server, ...servers].map(({maxclients}) => maxclients || Infinity));
    if (fewest < budget.limit) {
      say('bad', 'status.few_clients', {maxclients: fewest, limit: budget.limit});
    }
    const recent = (promotions ?? []).find(({at}) => Date.parse(at) > this.statsAt - WINDOW_MS);
    if (recent) {
      say('warn', recent.kind === 'slot_move' ? 'status.slots_moved' : 'status.promoted', {server: recent.server});
    }
    const sum = (pick) => workers.reduce((total, each) => total + pick(each), 0);
    const waiting = sum(({ops}) => ops.waiting);
    if (waiting > 0) say('warn', 'status.now_waiting', {count: waiting});
    const full = workers.filter(({ops}) => ops.in_use >= ops.max).length;
    if (full > 0) say('warn', 'status.full', {count: full});
    const slow = sum(({streams}) => streams.slow);
    if (slow > 0) say('warn', 'status.slow', {count: slow});
    const resets = this.grown('resets');
    if (resets > 0) say('warn', 'status.were_reset', {count: resets});
    const late = Math.max(0, ...workers.map(({streams}) => streams.delay_ms?.p99 ?? 0));
    if (late > LATE_MS) say('warn', 'status.late', {delay: late});
    const missing = budget.workers * budget.nodes - workers.length;
    if (missing > 0) say('warn', 'status.missing', {count: missing});
    return found;
  }
}

/** The number of open connections of the budget; null if the server withholds it. */
export function usedOf({ops, pubsub, cli}) {
  return [ops, pubsub, cli].includes(null) ? null : ops + pubsub + cli;
}

/** The server with the most connections of the budget, which holds on each: {server, used}. */
export function fullestOf({server, servers}) {
  const known = (servers ?? []).filter(({used}) => used !== null);
  if (known.length === 0) return {server, used: usedOf(server)};
  const fullest = known.reduce((most, each) => (each.used > most.used ? each : most));
  return {server: fullest, used: fullest.used};
}

/** The kinds of connections that are shown. Behind Sentinels none to a primary asks who has which slots. */
export function sharesOf({servers, sentinels}) {
  return ['ops', 'pubsub', 'cli', ...(servers && !sentinels ? ['topology'] : [])];
}

/** The message for a server's role, also for Redis's own word; any other word as it is. */
export function roleOf(role) {
  const word = {master: 'primary', slave: 'replica'}[role] ?? role;
  return ['primary', 'replica', 'spare'].includes(word) ? `status.role_${word}` : word;
}

/** The most connections that the present processes open to a server. */
export function allottedOf({workers}) {
  const most = ({ops, pubsub}) => ops.max + pubsub.max;
  return workers.reduce((sum, worker) => sum + Math.max(...(worker.shards ?? [worker]).map(most), 0), 0);
}

function keep(rows, row, now) {
  rows.push(row);
  while (rows.length > MOST_ROWS || rows[0].at < now - WINDOW_MS) rows.shift();
}

function figuresOf(report) {
  return {
    inUse: report?.ops.in_use ?? null,
    waiting: report?.ops.waiting ?? null,
    timeouts: report?.ops.timeouts ?? null,
    wait: report?.ops.wait_ms.p99 ?? null,
    open: report?.streams.open ?? null,
    resets: report?.streams.resets ?? null,
    delay: report?.streams.delay_ms?.p99 ?? null,
  };
}

function totalsOf(stats) {
  if (!stats) return {used: null, waiting: null, open: null, delay: null};
  const {workers} = stats;
  const delays = workers.map(({streams}) => streams.delay_ms?.p99 ?? null).filter((delay) => delay !== null);
  return {
    used: fullestOf(stats).used,
    waiting: workers.reduce((sum, {ops}) => sum + ops.waiting, 0),
    open: workers.reduce((sum, {streams}) => sum + streams.open, 0),
    delay: delays.length > 0 ? Math.max(...delays) : null,
  };
}
