// An import that runs: it goes on at the server whether or not a page looks. The page polls how far it is.

import * as api from './api.js';
import {announce, byId, h, setText} from './dom.js';
import {number, t, tn} from './i18n.js';
import {countsInWords, drawLines} from './import_preview.js';
import {sayRefusal} from './import_text.js';
import {keepForLabels, labelsAddress} from './labels_link.js';

const POLL_MS = 700;
const RUN_TIMEOUT_MS = 30 * 60 * 1000; // of the request that is answered when all is done

/** The import that the page shows, if any. */
export class Run {
  constructor(board) {
    this.board = board;
    this.turn = 0; // of what is looked at; a poll of an earlier one is void
  }

  /** Starts the import of `id`, and shows it until it has ended. */
  async start(id, mapping) {
    const mine = this.#begin();
    const request = {run: null, problem: null};
    const path = `/api/boards/${this.board}/imports/${id}/run`;
    this.#show({state: 'running', rows: 0, done: 0});
    api.send('POST', path, {body: mapping, timeoutMs: RUN_TIMEOUT_MS})
      .then((run) => { request.run = run; }, (problem) => { request.problem = problem; });
    return this.#follow(mine, id, request);
  }

  /** Shows an import that may run already. */
  async watch(id, run) {
    const mine = this.#begin();
    this.#show(run);
    return this.#follow(mine, id, null);
  }

  stop() {
    this.turn += 1;
    byId('running').hidden = true;
  }

  #begin() {
    this.turn += 1;
    byId('running').hidden = false;
    byId('run-title').focus();
    return this.turn;
  }

  /**
   * Follows the import. While its request is on its way only the request tells its end, for what is
   * polled may be of an earlier run; without the request, what is polled does.
   */
  async #follow(mine, id, request) {
    let lost = 0;
    let unbegun = 0;
    while (mine === this.turn) {
      const refusal = request?.problem;
      if (request?.run) return this.#end(id, request.run, null);
      if (refusal?.status > 0 && !mayHaveBegun(refusal)) return this.#refused(sayRefusal(refusal));
      const run = await this.#poll(id);
      if (mine !== this.turn) return undefined;
      if (run?.problem) return this.#refused(sayRefusal(run.problem));
      lost = run ? 0 : lost + 1;
      if (!run) setText(byId('run-said'), t('import.lost'));
      else if (refusal?.status > 0) return this.#end(id, {...run, state: 'stopped'}, refusal);
      else if (run.state === 'running') this.#show(run);
      else if (!request || refusal) {
        unbegun = run.state === 'none' ? unbegun + 1 : 0;
        if (run.state !== 'none') return this.#end(id, run, null);
        if (unbegun > 5) return this.#end(id, {...run, state: 'stopped'}, null);
      }
      await api.sleep(POLL_MS * Math.min(1 + lost, 8));
    }
    return undefined;
  }

  /** How far it is; null while the server does not answer, {problem} where it refuses. */
  async #poll(id) {
    try {
      return await api.get(`/api/boards/${this.board}/imports/${id}/run`);
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      return problem.isUncertain || problem.code === 'rate_limited' ? null : {problem};
    }
  }

  #show({rows, done}) {
    setText(byId('run-title'), t('import.running'));
    byId('done').hidden = false;
    byId('done').max = Math.max(rows, 1);
    if (rows > 0) byId('done').value = done;
    else byId('done').removeAttribute('value');
    setText(byId('run-said'), rows > 0 ? t('import.done_of', {done: number(done), all: number(rows)}) : '');
    setText(byId('run-counts'), t('import.may_leave'));
    for (const each of ['labels', 'again', 'next-file', 'rejected', 'rejected-more', 'rejected-hint', 'to-board',
      'to-items']) {
      byId(each).hidden = true;
    }
  }

  #refused(text) {
    byId('done').hidden = true;
    setText(byId('run-title'), t('import.refused'));
    setText(byId('run-said'), text);
    setText(byId('run-counts'), '');
    byId('next-file').hidden = false;
    byId('again').hidden = false;
  }

  async #end(id, run, refusal) {
    const isDone = run.state === 'done';
    const title = isDone ? t('import.finished') : t('import.stopped');
    byId('done').hidden = isDone;
    setText(byId('run-title'), title);
    setText(byId('run-said'), isDone ? '' : [refusal && sayRefusal(refusal),
      t('import.stopped_at', {done: number(run.done), all: number(run.rows)})].filter(Boolean).join(' '));
    setText(byId('run-counts'), countsInWords(run));
    for (const each of ['to-board', 'to-items', 'next-file']) byId(each).hidden = false;
    byId('again').hidden = isDone || !byId('looked-at').hidden; // there it has a button of its own
    drawLines(byId('rejected'), run.lines.map((line) => ({...line, tag: line.name, result: 'rejected'})));
    byId('rejected-hint').hidden = run.rejected === 0;
    byId('rejected-more').hidden = run.lines.length >= run.rejected;
    const listed = {shown: number(run.lines.length), all: number(run.rejected)};
    setText(byId('rejected-more'), t('import.first_lines', listed));
    announce(`${title} ${byId('run-counts').textContent}`);
    byId('run-title').focus();
    await this.#offerLabels(id);
  }

  async #offerLabels(id) {
    const mine = this.turn;
    try {
      const {tags} = await api.get(`/api/boards/${this.board}/imports/${id}/added`);
      if (mine !== this.turn || tags.length === 0) return;
      const button = h('button', {id: 'labels', type: 'button', onclick: () => {
        keepForLabels(this.board, tags);
        location.assign(labelsAddress(this.board, tags));
      }}, tn('import.labels', tags.length));
      byId('labels').replaceWith(button);
    } catch {
      // The labels can be printed from the list of items too.
    }
  }
}

/** Whether some rows may be in, in spite of the refusal. */
function mayHaveBegun(problem) {
  return problem.isUncertain || problem.code === 'rate_limited';
}
