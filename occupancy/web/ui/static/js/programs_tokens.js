// Tokens of programs: the list, and the form that creates one.

import * as api from './api.js';
import {h} from './dom.js';
import {fold} from './fold.js';
import {field, openForm} from './form_dialog.js';
import {moment, t} from './i18n.js';
import {proposedPersonId} from './person_ids.js';
import {linkOf, secretLine} from './link_panel.js';
import {boardField, explainMaking, revoke} from './programs_forms.js';
import {Section} from './programs_section.js';

const ROLES = ['observer', 'worker', 'supervisor', 'admin'];
const MOST_SHOWN = 8;
const DAYS = 365;

/** The section; `reload` loads the page again after a change. */
export class TokenSection extends Section {
  constructor(reload) {
    super({
      id: 'tokens', title: t('programs.tokens.title'), intro: t('programs.tokens.intro'),
      make: t('programs.tokens.make'), none: t('programs.tokens.none'),
      columns: [t('programs.tokens.program'), t('programs.role'), t('programs.board'), t('programs.created'),
        t('programs.tokens.ends'), t('programs.last_used')],
      onMake: () => this.make(),
    });
    this.reload = reload;
  }

  update(plant) {
    this.plant = plant;
    this.show(plant.tokens.filter((each) => !isWall(each)).map((each) => {
      const name = plant.nameOf(each.worker);
      return {
        id: each.id, isOff: each.expired,
        cells: [`${name} · ${each.id}`, roleOf(each, plant), plant.titleOf(each.board), moment(each.created),
          endOf(each), each.last_used ? moment(each.last_used) : t('programs.never')],
        label: t('programs.revoke_of', {name: `${name} · ${each.id}`}),
        onRevoke: () => this.revoke(each, name),
      };
    }));
  }

  async revoke(token, name) {
    const isDone = await revoke(`/api/tokens/${token.id}`,
      {title: t('programs.tokens.revoke', {name}), text: t('programs.tokens.revoke_text')});
    await this.reload();
    if (isDone) this.said(t('programs.revoked'));
  }

  async make() {
    const made = await openTokenForm(this.plant);
    await this.reload();
    if (!made) return;
    const path = made.board ? `/api/boards/${made.board}/items` : '/api/boards';
    this.present(t('programs.tokens.made', {name: this.plant.nameOf(made.worker)}),
      h('p', {}, t('programs.tokens.once')),
      secretLine(t('programs.tokens.token'), made.token),
      secretLine(t('programs.tokens.example'), `curl -H "Authorization: Bearer ${made.token}" ${linkOf(path)}`),
      h('p', {}, h('a', {href: '/docs'}, t('programs.tokens.docs'))));
  }
}

/** Whether a token is that of a wall screen: it reads one board. */
export function isWall(token) {
  return token.role === 'observer' && token.board !== null;
}

function roleOf(token, plant) {
  const role = token.role ?? plant.people.get(token.worker)?.role;
  return role ? t(`role.${role}`) : '';
}

function endOf(token) {
  if (!token.expires) return t('programs.never');
  const at = moment(token.expires);
  return token.expired ? t('programs.tokens.ended', {at}) : at;
}

function openTokenForm({people, boards}) {
  const kinds = ['new', 'existing'].map((kind) => h('label', {class: 'choice'},
    h('input', {type: 'radio', name: 'kind', value: kind, checked: kind === 'new', onchange: showKind}),
    t(kind === 'new' ? 'programs.tokens.of_new' : 'programs.tokens.of_existing')));
  const name = h('input', {name: 'name', maxlength: '100', required: true, autocomplete: 'off', pattern: '.*\\S.*'});
  const ofNew = h('fieldset', {class: 'bare'},
    field(t('programs.tokens.name'), name, {hint: t('programs.tokens.name_hint')}));
  const search = h('input', {type: 'search', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
    oninput: showFound});
  const found = h('div', {class: 'found', role: 'radiogroup', 'aria-label': t('programs.tokens.found')});
  const ofExisting = h('fieldset', {class: 'bare', hidden: true, disabled: true},
    field(t('programs.tokens.search'), search), found);
  const role = h('select', {name: 'role'});
  const days = h('input', {name: 'days', type: 'number', min: '1', max: '36500', step: '1', inputmode: 'numeric',
    value: String(DAYS)});
  let chosen = null;
  let sent = null; // the new worker's id, so that a repetition makes no second one

  function showRoles() {
    const isNew = kindOf() === 'new';
    const most = isNew ? 'admin' : chosen?.role;
    const before = role.value || 'worker';
    const roles = ROLES.slice(0, ROLES.indexOf(most) + 1);
    role.replaceChildren(...roles.map((each) => h('option', {value: each}, t(`role.${each}`))));
    role.value = roles.includes(before) ? before : roles.at(-1) ?? '';
  }

  function kindOf() {
    return kinds.map((each) => each.querySelector('input')).find((each) => each.checked).value;
  }

  function showKind() {
    const isNew = kindOf() === 'new';
    for (const [part, isShown] of [[ofNew, isNew], [ofExisting, !isNew]]) {
      part.hidden = !isShown;
      part.disabled = !isShown;
    }
    if (!isNew) showFound();
    showRoles();
  }

  function showFound() {
    const words = fold(search.value).split(/\s+/).filter(Boolean);
    const matches = [...people.values()].filter((each) => !each.disabled
      && words.every((word) => fold(`${each.id} ${each.name}`).includes(word)));
    if (!matches.slice(0, MOST_SHOWN).some((each) => each.id === chosen?.id)) chosen = null;
    found.replaceChildren(...matches.slice(0, MOST_SHOWN).map((each) => h('label', {class: 'choice'},
      h('input', {type: 'radio', name: 'worker', value: each.id, required: true, checked: each.id === chosen?.id,
        onchange() {
          chosen = each;
          showRoles();
        }}),
      h('span', {}, each.name, ' ', h('span', {class: 'soft'}, `${each.id} · ${t(`role.${each.role}`)}`)))));
    if (matches.length > MOST_SHOWN) found.append(h('p', {class: 'hint'}, t('programs.tokens.more_found')));
    search.setCustomValidity(matches.length === 0 ? t('programs.tokens.none_found') : '');
    showRoles();
  }

  showRoles();
  return openForm({
    title: t('programs.tokens.make'), yes: t('programs.tokens.create'), explainProblem: explainMaking,
    fields: [
      h('fieldset', {class: 'bare choices'}, h('legend', {}, t('programs.tokens.for_whom')), ...kinds),
      ofNew, ofExisting,
      field(t('programs.role'), role),
      boardField(boards, {all: true}),
      field(t('programs.tokens.days'), days, {hint: t('programs.tokens.days_hint')}),
    ],
    async send(form) {
      const board = form.elements.board.value || null;
      const end = days.value ? {days: Number(days.value)} : {};
      if (kindOf() === 'existing') {
        return api.send('POST', '/api/tokens', {body: {worker: chosen.id, role: role.value, board, ...end}});
      }
      const title = name.value.trim();
      if (sent?.title !== title) sent = {title, id: proposedPersonId(title, (each) => people.has(each), 'program')};
      await api.send('PUT', `/api/workers/${sent.id}`, {body: {name: title, role: role.value}});
      return api.send('POST', '/api/tokens', {body: {worker: sent.id, board, ...end}});
    },
  });
}
