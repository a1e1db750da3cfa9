// Which items get labels: those that another page or the address names, or what a search finds.

import {fold} from './fold.js';
import {KEPT} from './labels_link.js';
import {recallJson, remember} from './memory.js';

const TAG = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** The tags that were chosen before this page was opened, without doubles; null for all items. */
export function chosenTags(board) {
  const query = new URLSearchParams(location.search).get('tags');
  const tags = query === null ? handedOver(board) : query.split(',').map((each) => each.trim());
  const found = [...new Set(tags.filter((each) => TAG.test(each)))];
  return found.length > 0 ? found : null;
}

/** All items from now on, also after a reload. */
export function forgetChosen() {
  history.replaceState(null, '', location.pathname);
  remember('sessionStorage', KEPT, null);
}

function handedOver(board) {
  const given = recallJson('sessionStorage', KEPT);
  return given?.board === board && Array.isArray(given.tags) ? given.tags.map(String) : [];
}

/** The tags of the items that have every word of a text in tag or title. */
export function tagsOf(items, text) {
  const words = fold(text).split(/\s+/).filter(Boolean);
  return items.filter(({tag, title}) => {
    const looked = fold(`${tag} ${title}`);
    return words.every((word) => looked.includes(word));
  }).map(({tag}) => tag);
}
