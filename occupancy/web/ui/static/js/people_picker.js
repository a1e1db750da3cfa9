// The choice of a person by touch: those who work on the board first, and a search over all.

import * as api from './api.js';
import {fill, h, setText} from './dom.js';
import {t} from './i18n.js';
import {pressOver} from './press.js';
import {explain} from './refusal_text.js';

const TYPING_MS = 200;

/**
 * A choice of the people of `board`: {element, input, choice()}. `except` is the id of one who is not offered, and
 * `chosen` ({id, name}) is chosen from the start.
 */
export function peoplePicker(board, {except = null, chosen = null} = {}) {
  let turn = 0;
  let timer;
  const said = h('p', {class: 'soft', role: 'status'}, t('shown.loading'));
  const list = h('div', {class: 'people'});
  const input = h('input', {name: 'to', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false',
    value: chosen?.name, oninput() {
      chosen = null;
      mark();
      clearTimeout(timer);
      timer = setTimeout(look, TYPING_MS);
    }});
  const element = h('div', {class: 'picker'}, h('label', {}, t('ask.to'), input), said, list);

  // For one who has declined at first: typing does not ask again.
  const pinButton = h('button', {type: 'button', onclick: () => look()}, t('pin.enter'));

  const find = async (text) => (await api.get(`/api/boards/${board}/people?q=${encodeURIComponent(text)}`));

  async function look() {
    turn += 1;
    const mine = turn;
    let found;
    try {
      found = await find(chosen ? '' : input.value.trim());
    } catch (problem) {
      if (mine !== turn) return;
      setText(said, explain(problem));
      if (problem.code === 'pin_required') fill(list, pinButton);
      return;
    }
    await pressOver(); // of the button below, which the list moves
    if (mine === turn) draw(found);
  }

  function draw({people, has_more: hasMore}) {
    const offered = people.filter((each) => each.id !== except);
    setText(said, offered.length === 0 ? t('ask.to_none') : hasMore ? t('ask.to_more') : '');
    fill(list, ...part('ask.to_near', offered.filter((each) => each.is_near)),
      ...part('ask.to_others', offered.filter((each) => !each.is_near)));
    mark();
  }

  function part(key, people) {
    if (people.length === 0) return [];
    return [h('p', {class: 'names-title', 'aria-hidden': 'true'}, t(key)),
      h('div', {class: 'names', role: 'group', 'aria-label': t(key)}, ...people.map((each) => (
        h('button', {type: 'button', class: 'name', 'data-id': each.id, onclick() {
          chosen = each;
          input.value = each.name;
          mark();
        }}, each.name, ' ', h('span', {class: 'soft'}, each.id))))) ];
  }

  function mark() {
    for (const button of list.querySelectorAll('[data-id]')) {
      button.setAttribute('aria-pressed', String(button.dataset.id === chosen?.id));
    }
  }

  look();
  return {element, input,
    /** The id of the choice, or {refused: why} if there is none. A typed id counts as a choice. */
    async choice() {
      const text = input.value.trim();
      if (chosen) return {id: chosen.id, name: chosen.name};
      if (!text) return {refused: t('ask.to_missing')};
      clearTimeout(timer);
      turn += 1;
      const mine = turn;
      let found;
      try {
        found = await find(text);
      } catch (problem) {
        if (problem.code === 'pin_required') return {refused: explain(problem)}; // it was asked for just now
        return {id: text, name: text}; // the server will say whether there is such a worker
      }
      const same = found.people.find((each) => each.id === text);
      if (same) return same;
      if (mine === turn) draw(found);
      return {refused: t(found.people.length > 0 ? 'ask.to_choose' : 'ask.to_none')};
    }};
}
