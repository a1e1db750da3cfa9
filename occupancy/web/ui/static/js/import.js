// The import of items: a file or pasted rows, what they would do, doing it, and what became of them.
//
// The upload is in the page's address (?import=ID), so a page that is loaded again goes on with it.

import * as api from './api.js';
import {itemsOf} from './board_settings.js';
import {announce, byId, fill, setText} from './dom.js';
import {sendFile} from './file_upload.js';
import {number, t} from './i18n.js';
import {drawMapping} from './import_mapping.js';
import {Preview} from './import_preview.js';
import {drawFacts, drawReading} from './import_reading.js';
import {Run} from './import_run.js';
import {listenToSources} from './import_sources.js';
import {sayCause, sayRefusal} from './import_text.js';
import {startManaged} from './managed_page.js';
import * as session from './session.js';

const MOST_BYTES = 20 * 1024 * 1024;
const {board} = document.body.dataset;
const path = `/api/boards/${board}/imports`;
const preview = new Preview();
const run = new Run(board);

let itemName; // what the board calls its items
let sent = null; // {file, name, encoding, sheet}: what was sent last, to send it again
let found = null; // what the server found in it
let mapping = null;
let sending = null; // the AbortController of an upload
let turn = 0; // of a preview: a later choice makes an earlier answer void

function show(...names) {
  for (const each of ['source', 'sending', 'looked-at', 'running']) byId(each).hidden = !names.includes(each);
}

function say(text, {mayRetry = false} = {}) {
  setText(byId('problem'), text);
  byId('retry-line').hidden = !mayRetry;
}

function keepInAddress(id) {
  history.replaceState(null, '', id ? `?import=${id}` : location.pathname);
}

// Sending

function addressOfUpload({name, encoding, sheet}) {
  return `${path}?${new URLSearchParams({name, ...(encoding && {encoding}), ...(sheet && {sheet})})}`;
}

async function send(given) {
  if (sending || !session.may('supervisor')) return;
  say('');
  if (given.file.size === 0) {
    say(t('import.cause.empty_file'));
    return;
  }
  if (given.file.size > MOST_BYTES) {
    say(t('import.too_large'));
    return;
  }
  sent = given;
  turn += 1;
  const isAgain = found !== null;
  const mine = new AbortController();
  sending = mine;
  show('sending');
  byId('stop-sending').focus();
  progress(given.name, 0);
  try {
    const answer = await sendFile(addressOfUpload(given), given.file, {
      onProgress: (share) => progress(given.name, share), signal: mine.signal,
    });
    if (sending !== mine) return;
    keepInAddress(answer.id);
    drawFile(answer);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (sending !== mine) return;
    show('source', ...(isAgain ? ['looked-at'] : [])); // the file that was there before is still there
    if (isAgain) showReading();
    if (problem.code !== 'aborted') {
      say(sayRefusal(problem), {mayRetry: problem.isUncertain || [401, 403, 429].includes(problem.status)});
      if (problem.status === 401) session.openDialog();
    }
    byId('source-title').focus();
  } finally {
    if (sending === mine) sending = null;
    byId('file').value = ''; // the same file can be chosen again
  }
}

function progress(name, share) {
  const isSent = share >= 1;
  setText(byId('sending-text'), t(isSent ? 'import.reading' : 'import.sending', {name}));
  if (isSent) byId('sent').removeAttribute('value');
  else byId('sent').value = share;
}

function sendText(text) {
  if (!text.trim()) {
    say(t('import.no_rows'));
    return;
  }
  // A spreadsheet's clipboard has tabs; a list of one column has none.
  const name = text.includes('\t') ? `${t('import.pasted')}.tsv` : `${t('import.pasted')}.csv`;
  send({file: new Blob([text], {type: 'text/plain'}), name, encoding: 'utf-8'});
}

// The file, its columns, the preview

function drawFile(answer) {
  say('');
  show('looked-at');
  drawColumns(answer);
  showReading();
  byId('file-title').focus();
}

function drawColumns(answer) {
  found = answer;
  ({mapping} = answer);
  drawFacts(answer);
  drawMapping(answer, {
    onChange: (given) => {
      mapping = given;
      look();
    },
    onHeader: (hasHeader) => ask(`has_header=${hasHeader}`, drawColumns),
  });
  drawPreview(answer);
}

function showReading() {
  drawReading(found, sent === null ? null : (choice) => send({...sent, ...choice}));
}

function drawPreview({preview: made, problem_cause: cause}) {
  const isReady = made !== null;
  preview.show(made);
  setText(byId('preview-said'), isReady ? '' : cause ? sayCause(cause) : t('import.choose_column_first'));
  const changes = isReady ? made.added + made.updated : 0;
  setText(byId('run'), isReady && changes === 0 ? t('import.run_nothing')
    : t('import.run', {items: itemsOf(itemName, changes)}));
  byId('run').disabled = changes === 0;
  if (isReady) announce(t('import.previewed', {added: number(made.added), updated: number(made.updated),
    unchanged: number(made.unchanged), rejected: number(made.rejected)}));
}

/** Shows what the chosen mapping would do. */
function look() {
  byId('no-header').checked = found.has_header === false; // an answer that is still on its way comes too late
  if (mapping) {
    ask(`mapping=${encodeURIComponent(JSON.stringify(mapping))}`, drawPreview);
    return;
  }
  turn += 1;
  drawPreview({preview: null, problem_cause: null});
}

/** Asks about the upload, and draws the answer unless a later choice has made it void. */
async function ask(query, draw) {
  turn += 1;
  const mine = turn;
  byId('run').disabled = true;
  setText(byId('preview-said'), t('shown.loading'));
  try {
    const answer = await api.get(`${path}/${found.id}?${query}`, {timeoutMs: 120000});
    if (mine === turn) draw(answer);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    if (mine !== turn) return;
    byId('no-header').checked = found.has_header === false;
    preview.show(null);
    setText(byId('preview-said'), sayRefusal(problem));
    if (problem.status === 414) { // the choice is too long for an address, but not for the import
      setText(byId('run'), t('import.run_unseen'));
      byId('run').disabled = false;
    }
    if (problem.code === 'import_not_found') expired();
  }
}

function expired() {
  keepInAddress(null);
  found = null;
  show('source');
  say(t('import.expired'), {mayRetry: sent !== null});
  byId('source-title').focus();
}

// Importing

async function startRun() {
  const {id} = found;
  show('running');
  say('');
  await run.start(id, mapping);
}

function anotherFile() {
  run.stop();
  turn += 1;
  found = null;
  sent = null;
  mapping = null;
  keepInAddress(null);
  say('');
  byId('rows').value = '';
  show('source');
  byId('source-title').focus();
}

/** Goes on with the upload of the address. */
async function load(isCurrent) {
  const id = new URLSearchParams(location.search).get('import');
  const {title, item_name: name} = await api.get(`/api/boards/${board}`); // also says that there is no such board
  if (!isCurrent()) return;
  itemName = name;
  setText(byId('title'), `${t('page.import')} · ${title}`);
  show('source');
  if (!id) return;
  try {
    const answer = await api.get(`${path}/${encodeURIComponent(id)}`, {timeoutMs: 120000});
    const state = await api.get(`${path}/${encodeURIComponent(id)}/run`);
    if (!isCurrent()) return;
    drawFile(answer);
    if (state.state === 'none') return;
    // What was chosen for an import that has stopped is not known: it is to be checked once more.
    show('running', ...(state.state === 'stopped' ? ['looked-at'] : []));
    run.watch(id, state);
  } catch (problem) {
    if (problem.code !== 'import_not_found') throw problem;
    if (isCurrent()) expired();
  }
}

function clear() {
  setText(byId('title'), `${t('page.import')} · ${board}`);
  run.stop();
  sending?.abort();
  sending = null;
  turn += 1;
  found = null;
  mapping = null;
  say('');
  preview.show(null);
  fill(byId('mapping'));
  fill(byId('reading'));
}

// What the user does

function take(file) {
  if (run.turn > 0 && !byId('running').hidden && byId('next-file').hidden) return; // an import is shown that runs
  if (!byId('running').hidden) run.stop();
  send({file, name: file.name});
}

listenToSources({onFile: take, onRows: sendText});
byId('retry').addEventListener('click', () => send(sent));
byId('stop-sending').addEventListener('click', () => sending?.abort());
byId('run').addEventListener('click', startRun);
byId('again').addEventListener('click', () => {
  if (mapping) startRun();
  else anotherFile();
});
byId('another').addEventListener('click', anotherFile);
byId('next-file').addEventListener('click', anotherFile);

startManaged('supervisor', {load, clear});
