// The order of rows in the document, by which the Tab key and screen readers go.

/** Puts rows into visible order. */
export function putInOrder(container, rows) {
  const isFollowed = (row, index) => index === rows.length - 1
    || row.compareDocumentPosition(rows[index + 1]) & Node.DOCUMENT_POSITION_FOLLOWING;
  if (rows.every(isFollowed)) return;
  // A moved row loses the focus, so the others are placed around it.
  const focused = rows.findIndex((row) => row.contains(document.activeElement));
  if (focused < 0) {
    container.append(...rows);
  } else {
    rows[focused].before(...rows.slice(0, focused));
    rows[focused].after(...rows.slice(focused + 1));
  }
}
