// Wall screens: each has a token that reads one board, opened once as a link.

import * as api from './api.js';
import {openForm} from './form_dialog.js';
import {moment, t} from './i18n.js';
import {proposedPersonId} from './person_ids.js';
import {linkPanel} from './link_panel.js';
import {boardField, explainMaking, revoke} from './programs_forms.js';
import {Section} from './programs_section.js';
import {isWall} from './programs_tokens.js';

const WORKER = 'walls'; // the worker of the wall screens, or the beginning of its id

/** The section; `reload` loads the page again after a change. */
export class WallSection extends Section {
  constructor(reload) {
    super({
      id: 'walls', title: t('programs.walls.title'), intro: t('programs.walls.intro'),
      make: t('programs.walls.make'), none: t('programs.walls.none'),
      columns: [t('programs.board'), t('programs.walls.number'), t('programs.created'), t('programs.last_used')],
      onMake: () => this.make(),
    });
    this.reload = reload;
  }

  update(plant) {
    this.plant = plant;
    this.show(plant.tokens.filter(isWall).map((each) => {
      const title = plant.titleOf(each.board);
      return {
        id: each.id, isOff: each.expired,
        cells: [title, each.id, moment(each.created), each.last_used ? moment(each.last_used) : t('programs.never')],
        label: t('programs.revoke_of', {name: `${title} · ${each.id}`}),
        onRevoke: () => this.revoke(each, title),
      };
    }));
  }

  async revoke(token, board) {
    const isDone = await revoke(`/api/tokens/${token.id}`,
      {title: t('programs.walls.revoke', {board}), text: t('programs.walls.revoke_text')});
    await this.reload();
    if (isDone) this.said(t('programs.revoked'));
  }

  async make() {
    const made = await openWallForm(this.plant);
    await this.reload();
    if (made) this.present(t('programs.walls.made', {board: this.plant.titleOf(made.board)}), wallPanel(made));
  }
}

/** The form that makes the link of a wall screen; its result is the answer to POST /api/tokens. */
export function openWallForm({people, boards}, chosen = '') {
  return openForm({
    title: t('programs.walls.make'), yes: t('programs.walls.create'), explainProblem: explainMaking,
    fields: [boardField(boards, {chosen})],
    async send(form) {
      const worker = await workerOfWalls(people);
      return api.send('POST', '/api/tokens', {body: {worker, role: 'observer', board: form.elements.board.value}});
    },
  });
}

/** The link of a wall screen, to open on it. */
export function wallPanel({path, svg}) {
  return linkPanel({path, svg, note: t('programs.walls.note')});
}

/** The worker of the wall screens. It has no PIN, so nobody signs in as it; it is added if there is none. */
async function workerOfWalls(people) {
  const found = [...people.values()].find((each) => each.id.startsWith(WORKER) && each.role === 'observer'
    && !each.disabled && !each.has_pin);
  if (found) return found.id;
  const id = proposedPersonId(WORKER, (each) => people.has(each));
  await api.send('PUT', `/api/workers/${id}`, {body: {name: t('programs.walls.worker'), role: 'observer'}});
  return id;
}
