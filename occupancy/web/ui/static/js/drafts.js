// What was given for an operation, kept until it has succeeded: after a refusal its dialog opens with it.

const drafts = new Map(); // operation and tag → {reason, step, person}

const keyOf = (operation, item) => `${operation} ${item?.tag ?? ''}`;

/** What was given last for an operation on an item, or on several (null); {} for nothing. */
export function draftOf(operation, item) {
  return drafts.get(keyOf(operation, item)) ?? {};
}

export function keepDraft(operation, item, given) {
  drafts.set(keyOf(operation, item), given);
}

/** The operation has succeeded, or the user has given it up. */
export function forgetDraft(operation, item = null) {
  drafts.delete(keyOf(operation, item));
}

export function forgetDrafts() {
  drafts.clear();
}
