// The texts of refusals, for every page, also for those without the transition table.

import {sinceText, t} from './i18n.js';

const SAID = new Set(['held', 'not_holder', 'stale_epoch', 'blocked', 'wrong_state', 'limit_reached', 'last_admin',
  'forbidden', 'pin_required', 'item_not_found', 'worker_not_found', 'unauthenticated', 'unreachable', 'rate_limited',
  'pool_timeout', 'store_unavailable', 'unconfirmed', 'csrf', 'internal_error']);

/** A refusal in the page's language, with the holder's name and the start of the hold. */
export function explain(problem) {
  const values = {
    holder: problem.holder?.name ?? '',
    since: problem.since ? sinceText(problem.since) : '',
    reason: problem.item?.reason ?? '',
    seconds: problem.retry_after ?? '',
  };
  if (problem.code === 'blocked' && !values.reason) return t('refusal.blocked_plain');
  if (problem.code === 'not_holder' && !values.holder) return t('refusal.not_holder_plain');
  if (!SAID.has(problem.code)) return problem.detail;
  return t(`refusal.${problem.code}`, values).replace(/\.\.$/, '.'); // '6:33 a.m.' has a dot of its own
}
