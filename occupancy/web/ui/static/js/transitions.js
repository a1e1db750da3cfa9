// The transition table, as the server renders it into the page: a list of rows, in the order of
// their buttons. The modules ask it what an operation or an event means and compare no names.

const ROWS = JSON.parse(document.body.dataset.transitions);
const BY_EVENT = new Map(ROWS.map((row) => [row.event, row]));
const ADDED = new Set(ROWS.map((row) => row.added_event).filter(Boolean));

/** The operations that have a button, by name. */
export const OPERATIONS = new Map(ROWS.filter(({button}) => button !== 'none')
  .map((row) => [row.operation, row]));

/** The row of the operation that takes back another one's end; it is offered beside that one's notice. */
export const UNDO = ROWS.find(({within_s}) => within_s > 0) ?? {}; // an older server has none

/** The operation for each keyboard shortcut. */
export const KEYS = new Map([...OPERATIONS.values()].filter(({key}) => key)
  .map(({key, operation}) => [key, operation]));

/** The row of an event; undefined for an added item, and for the event of a newer server. */
export function transitionOf(event) {
  return BY_EVENT.get(event.type);
}

export function isAdded(event) {
  return ADDED.has(event.type);
}

/** The `operations` with a button beside the item, the primary ones first. */
export function mainOf(operations) {
  return ['primary', 'secondary'].flatMap((button) => (
    operations.filter((operation) => OPERATIONS.get(operation).button === button)));
}

/** The operations with which the holder ends the work on an item. */
export const ENDS = [...OPERATIONS.values()]
  .filter(({button, holder_only}) => holder_only && button !== 'minor')
  .map(({operation}) => operation);

/** The classes of an operation's button: where it is, and the state to which it leads. */
export function buttonClass(operation) {
  const {button, target} = OPERATIONS.get(operation);
  return `act ${operation} ${button} to-${target}`;
}
