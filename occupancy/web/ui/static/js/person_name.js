// The name of a person as pages show it. Changes by the command line, where no worker is named, have an actor
// of its own; its name is shown in the page's language. A worker with its id keeps their own name.

import {t} from './i18n.js';

const COMMAND_LINE = {id: 'cli', name: 'Command line'}; // core/entities.py

/** The name of `person` ({id, name}); '' for nobody. */
export function nameOf(person) {
  if (!person) return '';
  const isCommandLine = person.id === COMMAND_LINE.id && person.name === COMMAND_LINE.name;
  return isCommandLine ? t('person.command_line') : person.name;
}
