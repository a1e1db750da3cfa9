// The sample on the page that sets a plant up: loading it, and removing it while it is there.

import * as api from './api.js';
import {fill, h, setText} from './dom.js';
import {openForm} from './form_dialog.js';
import {t, tn} from './i18n.js';
import {explain} from './refusal_text.js';

/** A button that loads the sample; it says below itself why that failed. `onLoaded` is waited for. */
export function loadButton(label, onLoaded) {
  const said = h('p', {class: 'said', role: 'alert'});
  const button = h('button', {type: 'button', async onclick() {
    button.disabled = true;
    setText(said, '');
    try {
      await api.send('POST', '/api/sample', {timeoutMs: 60000}); // sending it again is safe
      await onLoaded();
    } catch (problem) {
      if (problem.status === undefined) throw problem;
      setText(said, explain(problem));
    } finally {
      button.disabled = false;
    }
  }}, label);
  return [button, said];
}

/** The panel of the sample, for the page with the steps; `reload` loads the page again. */
export class SamplePanel {
  constructor(reload) {
    this.reload = reload;
    this.heading = h('h2', {tabindex: '-1'}, t('setup.sample.there'));
    this.toBoard = h('a', {class: 'button'}, t('setup.sample.open'));
    this.remains = h('div', {class: 'remains stack', role: 'status'});
    this.present = h('div', {class: 'stack', hidden: true}, this.heading, h('p', {}, t('setup.sample.text')),
      h('div', {class: 'buttons'}, this.toBoard,
        h('button', {type: 'button', class: 'danger', onclick: () => this.remove()}, t('setup.sample.remove'))));
    const [button, said] = loadButton(t('setup.sample.load'), async () => {
      await reload();
      this.heading.focus();
    });
    this.absent = h('details', {hidden: true}, h('summary', {}, t('setup.sample.offer')),
      h('div', {class: 'stack'}, h('p', {}, t('setup.sample.what')), h('div', {class: 'buttons'}, button), said));
    this.element = h('section', {class: 'sample', 'aria-label': t('setup.sample.label')},
      this.present, this.absent, this.remains);
  }

  update({sample}) {
    const isThere = isSampleThere(sample);
    this.present.hidden = !isThere;
    this.absent.hidden = isThere;
    if (isThere) fill(this.remains);
    this.toBoard.hidden = sample.board === null;
    this.toBoard.href = `/boards/${sample.board}`;
  }

  async remove() {
    const answer = await openForm({
      title: t('setup.sample.remove'), yes: t('setup.sample.remove'), isDanger: true,
      fields: [h('p', {}, t('setup.sample.remove_text'))],
      send: () => api.send('DELETE', '/api/sample', {timeoutMs: 60000}),
      explainProblem: explain,
    });
    if (!answer) return;
    await this.reload();
    fill(this.remains, h('p', {tabindex: '-1'}, t('setup.sample.removed')), answer.kept.length > 0 && h('div', {},
      h('p', {}, t('setup.sample.kept')), h('ul', {class: 'plain'}, ...answer.kept.map((each) => h('li', {},
        h('bdi', {}, each.name ?? each.id), ': ', whyOf(each))))));
    this.remains.querySelector('p').focus();
  }
}

export function isSampleThere(sample) {
  return sample.board !== null || sample.workers.length > 0;
}

function whyOf({why, items, board}) {
  return why === 'has_items' ? tn('setup.kept_items', items) : t(`setup.kept_${why}`, {board});
}
