// Refusals that somebody may meet who sets a plant up, in the page's language.

import {t} from './i18n.js';
import {explain} from './refusal_text.js';

export function explainSetup(problem) {
  const texts = {
    already_exists: () => t('setup.refusal.taken'), board_not_found: () => t('setup.refusal.no_board'),
    invalid_request: () => t('setup.refusal.not_allowed'),
  };
  return texts[problem.code]?.() ?? explain(problem);
}
