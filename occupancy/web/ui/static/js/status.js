// The status page for operators: use of the connection budget, requests that wait or time out, and the
// delay of events.

import * as api from './api.js';
import {serverNow} from './clock.js';
import {byId, fill, h, setText} from './dom.js';
import {duration, locale, moment, number, sinceText, t, tn} from './i18n.js';
import {start} from './page.js';
import {Plot} from './plot.js';
import * as session from './session.js';
import {Monitor, WINDOW_MS, allottedOf, fullestOf, roleOf, sharesOf} from './monitor.js';

const POLL_MS = 2000;
const HEALTH_POLLS = 5; // polls of the statistics per poll of the health
const OLD_MS = 7000;
const TICK_MS = 2 * 60 * 1000;
const PLOTS = ['inUse', 'wait', 'open', 'delay'];

const STATUSES = {healthy: 'status.is_healthy', unreachable: 'status.is_unreachable'};

const clock = new Intl.DateTimeFormat(locale, {timeStyle: 'short'});
const fine = new Intl.NumberFormat(locale, {maximumFractionDigits: 1});
const round = new Intl.NumberFormat(locale, {maximumSignificantDigits: 3, notation: 'compact'});

let monitor = new Monitor();
let ready = null;
let health = null;
let polls = 0;
let timer;
let isRunning = false;

const unknown = '–';
const ms = (value) => (value === null || value === undefined ? unknown
  : `${value < 10 ? fine.format(value) : number(Math.round(value))} ms`);
const count = (value) => (value === null || value === undefined ? unknown : number(value));
// A figure that the server withholds is unknown, and not zero.
const orUnknown = (value, format) => (value === null || value === undefined ? t('status.unknown') : format(value));
const megabytes = (bytes) => `${fine.format(bytes / 1048576)} MB`;

// The plots

const totals = {
  used: new Plot({series: [{name: 'used', kind: 'stack'}], format: round.format}),
  waiting: new Plot({series: [{name: 'waiting', kind: 'stack', hatched: 45}], format: round.format}),
  open: new Plot({series: [{name: 'open', kind: 'line'}], format: round.format}),
  delay: new Plot({series: [{name: 'delay', kind: 'line'}], format: round.format}),
};
for (const name of ['waiting', 'open', 'delay']) byId(`${name}-plot`).append(totals[name].element);
byId('gauge').after(h('div', {class: 'small'}, totals.used.element));

/** Draws `keys` of rows over the window. */
function drawRows(plot, rows, keys, label, options = {}) {
  const to = monitor.totals.at(-1)?.at ?? serverNow();
  const from = to - WINDOW_MS;
  const ticks = [];
  for (let at = Math.ceil(from / TICK_MS) * TICK_MS; at <= to; at += TICK_MS) {
    ticks.push({at, text: clock.format(at)});
  }
  plot.draw({from, to, ticks, label, rows: rows.map((row) => ({at: row.at, values: keys.map((key) => row[key])})),
    ...options});
}

function mostOf(rows, key) {
  const known = rows.map((row) => row[key]).filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) : null;
}

/** 'Requests waiting: 3 now, 7 at most in the last 10 minutes'. */
function inWords(title, now, most) {
  return t('status.plot', {title, now, most});
}

// One process

class ProcessPanel {
  constructor({name, pid}) {
    this.plots = {
      inUse: new Plot({series: [{name: 'in-use', kind: 'stack'}, {name: 'waiting', kind: 'stack', hatched: 45}],
        format: round.format}),
      wait: new Plot({series: [{name: 'wait', kind: 'line'}], format: round.format}),
      open: new Plot({series: [{name: 'open', kind: 'line'}], format: round.format}),
      delay: new Plot({series: [{name: 'delay', kind: 'line'}], format: round.format}),
    };
    const titles = {inUse: t('status.in_use'), wait: t('status.wait'), open: t('status.streams'),
      delay: t('status.delay')};
    this.titles = titles;
    this.now = Object.fromEntries(PLOTS.map((key) => [key, h('strong', {})]));
    this.ended = h('span', {class: 'soft'});
    this.element = h('section', {class: 'panel process', 'aria-label': t('status.process', {pid})},
      h('h3', {}, t('status.process', {pid}), ' ',
        h('span', {class: 'soft'}, name.replace(/-\d+(-[0-9a-f]{8})?$/, '')), ' ', this.ended),
      h('div', {class: 'plots'}, ...PLOTS.map((key) => h('div', {},
        h('p', {class: 'plot-title'}, h('span', {}, titles[key]), ' ', this.now[key]),
        h('div', {class: 'small'}, this.plots[key].element)))));
  }

  draw({rows, now}) {
    setText(this.ended, now ? '' : t('status.ended'));
    this.element.classList.toggle('gone', !now);
    const shown = {
      inUse: now ? t('status.in_use_of', {
        used: number(now.ops.in_use), max: number(now.ops.max), waiting: number(now.ops.waiting),
      }) : unknown,
      wait: ms(now?.ops.wait_ms.p99),
      open: now ? number(now.streams.open) : unknown,
      delay: ms(now?.streams.delay_ms?.p99),
    };
    this.element.classList.toggle('full', Boolean(now) && (now.ops.waiting > 0 || now.ops.in_use >= now.ops.max));
    for (const key of PLOTS) {
      setText(this.now[key], shown[key]);
      const isTime = key === 'wait' || key === 'delay';
      const most = mostOf(rows, key);
      drawRows(this.plots[key], rows, key === 'inUse' ? ['inUse', 'waiting'] : [key],
        inWords(this.titles[key], shown[key], isTime ? ms(most) : count(most)),
        {least: isTime ? 10 : 4, limit: key === 'inUse' ? now?.ops.max ?? null : null});
    }
  }

  remove() {
    for (const plot of Object.values(this.plots)) plot.remove();
    this.element.remove();
  }
}

const panels = new Map();

function drawProcesses() {
  for (const [name, panel] of panels) {
    if (!monitor.processes.has(name)) {
      panel.remove();
      panels.delete(name);
    }
  }
  for (const process of monitor.processes.values()) {
    let panel = panels.get(process.name);
    if (!panel) {
      panel = new ProcessPanel(process);
      panels.set(process.name, panel);
      byId('processes').append(panel.element);
    }
    panel.draw(process);
  }
}

// All processes

function drawBudget({budget, workers, ...counts}) {
  const {server, used} = fullestOf(counts);
  byId('fullest').hidden = !server.address;
  if (server.address) setText(byId('fullest'), t('status.fullest', {server: server.address}));
  setText(byId('used'), orUnknown(used, number));
  setText(byId('of-limit'), t('status.of_limit', {limit: number(budget.limit)}));
  const gauge = byId('gauge');
  gauge.hidden = used === null; // a meter needs a value
  gauge.setAttribute('aria-valuenow', used ?? 0);
  gauge.setAttribute('aria-valuemax', budget.limit);
  const shown = orUnknown(used, number);
  gauge.setAttribute('aria-valuetext', t('status.used_of', {used: shown, limit: number(budget.limit)}));
  gauge.classList.toggle('near', used >= 0.9 * budget.limit);
  const shares = sharesOf(counts).map((name) => [name, t(`status.${name}`)]);
  while (gauge.children.length < shares.length) {
    gauge.append(h('span', {class: `share ${shares[gauge.children.length][0]}`}));
  }
  shares.forEach(([name], index) => {
    gauge.children[index].style.width = `${Math.min(100, 100 * (server[name] ?? 0) / budget.limit)}%`;
  });
  fill(byId('shares'), ...shares.map(([name, word]) => h('li', {},
    h('span', {class: `swatch ${name}`, 'aria-hidden': 'true'}), word, ' ',
    h('strong', {}, orUnknown(server[name], number)))));
  drawRows(totals.used, monitor.totals, ['used'],
    inWords(t('status.budget'), shown, count(mostOf(monitor.totals, 'used'))), {limit: budget.limit});
  const isKnown = server.maxclients !== null && server.other !== null;
  setText(byId('allotted'), t(isKnown ? 'status.allotted' : 'status.allotted_unknown', {
    allotted: number(allottedOf({workers})), reserved: number(budget.reserved),
    maxclients: count(server.maxclients), others: count(server.other),
  }));
}

/** The servers, Sentinels and promotions, where there are several servers. */
function drawServers({servers, sentinels, promotions}) {
  byId('servers-part').hidden = !servers;
  if (!servers) return;
  const rows = [
    ...servers.map((each) => [each.address, t(roleOf(each.role)), t(STATUSES[each.status]),
      orUnknown(each.used, (used) => t('status.used_of', {used: number(used), limit: number(each.limit)})),
      orUnknown(each.other, number), each.boards ? number(each.boards.count) : '', number(each.incarnation)]),
    ...(sentinels ?? []).map((each) => [each.address, t('status.role_sentinel'), t(STATUSES[each.status]),
      '', '', '', each.incarnation === null ? unknown : number(each.incarnation)]),
  ];
  const table = byId('servers');
  const names = rows.map(([address]) => address).join();
  if (table.dataset.names !== names) { // otherwise only texts change, and a selection survives
    table.dataset.names = names;
    fill(table,
      h('thead', {}, h('tr', {}, ...[
        'status.server', 'status.role', 'status.state', 'status.connections', 'status.others', 'status.boards',
        'status.incarnation',
      ].map((title) => h('th', {scope: 'col'}, t(title))))),
      h('tbody', {}, ...rows.map((cells) => h('tr', {}, h('th', {scope: 'row'}),
        ...cells.slice(1).map(() => h('td', {}))))));
  }
  rows.forEach((cells, row) => cells.forEach((text, column) => {
    setText(table.tBodies[0].rows[row].cells[column], text);
  }));
  [...servers, ...(sentinels ?? [])].forEach(({status}, row) => {
    table.tBodies[0].rows[row].classList.toggle('away', status !== 'healthy');
  });
  const told = (promotions ?? []).map(({at, server, incarnation, streams, kind}) => {
    const values = {at: moment(at), server, incarnation: number(incarnation)};
    return kind === 'slot_move' ? tn('status.slot_move', streams, values) : tn('status.promotion', streams, values);
  });
  byId('promotions-title').hidden = told.length === 0;
  const list = byId('promotions');
  if (list.dataset.told === JSON.stringify(told)) return;
  list.dataset.told = JSON.stringify(told);
  fill(list, ...told.map((text) => h('li', {}, text)));
}

function drawTotals({workers}) {
  const sum = (pick) => workers.reduce((total, each) => total + pick(each), 0);
  const now = monitor.totals.at(-1);
  const waiting = sum(({ops}) => ops.waiting);
  const timeouts = monitor.grown('timeouts');
  setText(byId('waiting'), number(waiting));
  byId('waiting').parentElement.classList.toggle('warn', waiting > 0);
  setText(byId('timeouts'), number(timeouts));
  byId('timeouts').parentElement.classList.toggle('bad', timeouts > 0);
  setText(byId('open'), number(sum(({streams}) => streams.open)));
  setText(byId('streams-more'), t('status.streams_more', {
    slow: number(sum(({streams}) => streams.slow)), resets: number(monitor.grown('resets')),
  }));
  setText(byId('delay'), ms(now?.delay));
  for (const [key, title, shown] of [
    ['waiting', t('status.waiting'), count], ['open', t('status.streams'), count], ['delay', t('status.delay'), ms],
  ]) {
    drawRows(totals[key], monitor.totals, [key],
      inWords(title, shown(now?.[key]), shown(mostOf(monitor.totals, key))),
      {least: key === 'delay' ? 10 : 4});
  }
}

function drawHealth() {
  setText(byId('latency'), ms(health?.latency_ms));
  fill(byId('redis'), ...(health?.status === 'healthy' ? [
    [t('status.server'), orUnknown(health.server, (name) => `${name} ${health.version}`)],
    [t('status.role'), orUnknown(health.role, (role) => t(roleOf(role)))],
    [t('status.uptime'), orUnknown(health.uptime_s, duration)],
    [t('status.memory'), orUnknown(health.used_memory_bytes, (used) => (health.maxmemory_bytes > 0
      ? t('status.memory_of', {used: megabytes(used), max: megabytes(health.maxmemory_bytes)})
      : megabytes(used)))],
  ].flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]) : []));
}

function drawVerdict() {
  const isFresh = monitor.statsAt !== null && serverNow() - monitor.statsAt < OLD_MS;
  const found = monitor.findings({isFresh, ready, health});
  document.body.classList.toggle('old', !isFresh && monitor.statsAt !== null);
  const told = found.map(({level, key, values}) => ({
    level, text: 'count' in values ? tn(key, values.count) : t(key, said(values)),
  }));
  if (told.length === 0) told.push({level: 'fine', text: t('status.fine')});
  const list = byId('verdict');
  // Only changes are written, because screen readers read the list out when it changes.
  if (list.dataset.told === JSON.stringify(told)) return;
  list.dataset.told = JSON.stringify(told);
  fill(list, ...told.map(({level, text}) => h('li', {class: level},
    h('span', {class: 'sign', 'aria-hidden': 'true'}), text)));
}

/** The values of a message, formatted. */
function said({since, delay, used, limit, maxclients, reasons, server}) {
  return {
    server,
    since: since ? sinceText(since) : unknown, delay: ms(delay), used: count(used),
    limit: count(limit), maxclients: count(maxclients), reasons,
  };
}

function drawTable({workers}) {
  const columns = [
    [t('status.max'), ({ops}) => number(ops.max)],
    [t('status.in_use'), ({ops}) => number(ops.in_use)],
    [t('status.idle'), ({ops}) => number(ops.idle)],
    [t('status.waiting'), ({ops}) => number(ops.waiting)],
    [t('status.acquired'), ({ops}) => number(ops.acquired)],
    [t('status.all_timeouts'), ({ops}) => number(ops.timeouts)],
    [t('status.wait_median'), ({ops}) => ms(ops.wait_ms.p50)],
    [t('status.wait_tail'), ({ops}) => ms(ops.wait_ms.p99)],
    [t('status.wait_max'), ({ops}) => ms(ops.wait_ms.max)],
    [t('status.pubsub_of'), ({pubsub}) => `${number(pubsub.in_use)} / ${number(pubsub.max)}`],
    [t('status.open'), ({streams}) => number(streams.open)],
    [t('status.slow_now'), ({streams}) => number(streams.slow)],
    [t('status.all_resets'), ({streams}) => number(streams.resets)],
    [t('status.delay_tail'), ({streams}) => ms(streams.delay_ms?.p99)],
  ];
  const table = byId('table');
  const pids = workers.map(({pid}) => pid).join();
  if (table.dataset.pids !== pids) { // otherwise only texts change, and a selection survives
    table.dataset.pids = pids;
    fill(table,
      h('thead', {},
        h('tr', {}, h('td', {}),
          h('th', {scope: 'colgroup', colspan: 9}, t('status.ops')),
          h('th', {scope: 'colgroup'}, t('status.pubsub')),
          h('th', {scope: 'colgroup', colspan: 4}, t('status.streams'))),
        h('tr', {}, h('th', {scope: 'col'}, t('status.pid')),
          ...columns.map(([title]) => h('th', {scope: 'col'}, title)))),
      h('tbody', {}, ...workers.map(({pid}) => h('tr', {}, h('th', {scope: 'row'}, String(pid)),
        ...columns.map(() => h('td', {}))))));
  }
  workers.forEach((worker, row) => columns.forEach(([, pick], column) => {
    setText(table.tBodies[0].rows[row].cells[column + 1], pick(worker));
  }));
}

function draw() {
  drawVerdict();
  drawHealth();
  drawProcesses();
  if (!monitor.stats) return;
  drawBudget(monitor.stats);
  drawServers(monitor.stats);
  drawTotals(monitor.stats);
  drawTable(monitor.stats);
}

// Polling

/** The response of a health route, also of a 503; null if the server is unreachable. */
async function ask(path) {
  try {
    return await api.get(path, {timeoutMs: 5000});
  } catch (problem) {
    return problem.code === 'unreachable' ? null : problem;
  }
}

let turn = 0;

async function poll() {
  clearTimeout(timer);
  turn += 1;
  const mine = turn; // ends an older poll that still waits for its response
  if (!isRunning) return;
  if (!document.hidden) {
    const stats = await api.get('/api/redis-connection-stats', {timeoutMs: 5000}).catch(() => null);
    if (polls % HEALTH_POLLS === 0 || !stats) {
      [ready, health] = await Promise.all([ask('/readyz'), ask('/api/redis-health')]);
    }
    if (mine !== turn) return;
    monitor.add(stats, serverNow());
    polls += 1;
    draw();
  }
  timer = setTimeout(poll, POLL_MS);
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && isRunning) poll();
});

await start((found) => {
  isRunning = found !== null && session.may('supervisor');
  byId('denied').hidden = isRunning;
  byId('status').hidden = !isRunning;
  if (isRunning) {
    monitor = new Monitor();
    poll();
  }
});
