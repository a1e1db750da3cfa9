// Programs and walls: the tokens of programs, the links of wall screens, and the paired tablets.

import * as api from './api.js';
import {byId, fill} from './dom.js';
import {t} from './i18n.js';
import {startManaged} from './managed_page.js';
import {StationSection} from './programs_stations.js';
import {TokenSection} from './programs_tokens.js';
import {WallSection} from './programs_walls.js';

let sections = [];

async function load(isCurrent) {
  const [{tokens}, {stations}, {workers}, {boards}] = await Promise.all(
    ['/api/tokens', '/api/stations', '/api/workers', '/api/boards'].map((path) => api.get(path)));
  if (!isCurrent()) return;
  const people = new Map(workers.map((each) => [each.id, each]));
  const titles = new Map(boards.map((each) => [each.board, each.title]));
  const plant = {
    tokens, stations, people, boards,
    nameOf: (id) => people.get(id)?.name ?? id,
    titleOf: (board) => (board === null ? t('programs.all_boards') : titles.get(board) ?? board),
  };
  if (sections.length === 0) {
    sections = [TokenSection, WallSection, StationSection].map((kind) => new kind(reload));
    fill(byId('managed'), ...sections.map((each) => each.element));
  }
  for (const each of sections) each.update(plant);
}

function clear() {
  sections = [];
  fill(byId('managed'));
}

const reload = startManaged('admin', {load, clear});
