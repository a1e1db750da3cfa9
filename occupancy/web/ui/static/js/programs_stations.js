// Stations: shared tablets at which a badge signs in.

import * as api from './api.js';
import {h} from './dom.js';
import {field, openForm} from './form_dialog.js';
import {moment, t} from './i18n.js';
import {linkPanel} from './link_panel.js';
import {boardField, explainMaking, revoke} from './programs_forms.js';
import {Section} from './programs_section.js';

/** The section; `reload` loads the page again after a change. */
export class StationSection extends Section {
  constructor(reload) {
    super({
      id: 'stations', title: t('programs.stations.title'), intro: t('programs.stations.intro'),
      make: t('programs.stations.make'), none: t('programs.stations.none'),
      columns: [t('programs.stations.name'), t('programs.board'), t('programs.stations.paired'),
        t('programs.last_used')],
      onMake: () => this.make(),
    });
    this.reload = reload;
  }

  update(plant) {
    this.plant = plant;
    this.show(plant.stations.map((each) => ({
      id: each.id, isOff: !each.paired,
      cells: [each.name, plant.titleOf(each.board), each.paired ? moment(each.paired) : t('programs.stations.waiting'),
        each.last_used ? moment(each.last_used) : t('programs.never')],
      label: t('programs.revoke_of', {name: each.name}),
      onRevoke: () => this.revoke(each),
    })));
  }

  async revoke(station) {
    const isDone = await revoke(`/api/stations/${station.id}`, {
      title: t('programs.stations.revoke', {name: station.name}),
      text: t(station.paired ? 'programs.stations.revoke_text' : 'programs.stations.revoke_link_text')});
    await this.reload();
    if (isDone) this.said(t('programs.revoked'));
  }

  async make() {
    const made = await openForm({
      title: t('programs.stations.make'), yes: t('programs.stations.create'), explainProblem: explainMaking,
      fields: [
        field(t('programs.stations.name'), h('input', {name: 'name', required: true, maxlength: '100',
          autocomplete: 'off', pattern: '.*\\S.*'}), {hint: t('programs.stations.name_hint')}),
        boardField(this.plant.boards, {all: true}),
      ],
      send: (form) => api.send('POST', '/api/stations',
        {body: {name: form.elements.name.value.trim(), board: form.elements.board.value || null}}),
    });
    await this.reload();
    if (!made) return;
    this.present(t('programs.stations.made', {name: made.station.name}),
      linkPanel({path: made.path, svg: made.svg, note: t('programs.stations.note')}));
  }
}
