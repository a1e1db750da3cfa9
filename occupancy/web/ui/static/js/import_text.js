// What is said of a file and its rows, in the page's language.

import {number, t} from './i18n.js';
import {explain} from './refusal_text.js';

/** Why a file, a mapping or a row is refused: the text of a cause's code. */
export function sayCause({code, values}) {
  return t(`import.cause.${code}`, Object.fromEntries(Object.entries(values)
    .map(([name, value]) => [name, typeof value === 'number' ? number(value) : value])));
}

/** Why a row is rejected; one that only the board refuses has no cause. */
export function sayRow({cause}) {
  return cause ? sayCause(cause) : t('import.cause.row_refused');
}

/** What a refusal by the routes of imports says. */
export function sayRefusal(problem) {
  if (problem.cause) return sayCause(problem.cause);
  if (problem.code === 'import_not_found') return t('import.expired');
  if (problem.code === 'board_not_found') return t('import.no_board');
  if (problem.code === 'too_large') return t('import.too_large');
  if (problem.status === 414) return t('import.no_preview');
  return explain(problem);
}

export const FORMATS = {csv: 'CSV', xlsx: 'Excel (XLSX)', xls: 'Excel (XLS)', ods: 'LibreOffice (ODS)'};

/** The name of a file's separator. */
export function separatorName(separator) {
  const names = {',': t('import.comma'), ';': t('import.semicolon'), '\t': t('import.tab')};
  return names[separator] ?? separator;
}
