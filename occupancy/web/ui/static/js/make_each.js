// One request for each of many people, in turn, and what became of each. Pure.

import {retried} from './persistent_send.js';

/**
 * Calls `make(person)` for each. It must be safe to repeat, because an answer may be lost. Returns
 * {made: [{person, result}], refused: [{person, problem}], uncertain: [...], left: [person]}. After a lost
 * answer or the end of the session nothing more is sent: the rest is `left`, with `problem` the reason.
 * `isCurrent()` false ends it too. `onDone(count)` follows each.
 */
export async function makeEach(people, make, {onDone = () => {}, isCurrent = () => true, pause} = {}) {
  const found = {made: [], refused: [], uncertain: [], left: [], problem: null};
  for (const [at, person] of people.entries()) {
    try {
      const result = await retried(() => make(person), {pause});
      found.made.push({person, result});
    } catch (problem) {
      if (problem.status === undefined) throw problem; // a bug of the page
      const isEnd = [401, 403, 429].includes(problem.status) || problem.code === 'pool_timeout';
      if (problem.isUncertain && !isEnd) found.uncertain.push({person, problem});
      else if (!isEnd) found.refused.push({person, problem});
      if (isEnd || problem.isUncertain) {
        found.left = people.slice(isEnd ? at : at + 1);
        found.problem = problem;
        return found;
      }
    }
    if (!isCurrent()) {
      found.left = people.slice(at + 1);
      return found;
    }
    onDone(at + 1);
  }
  return found;
}
