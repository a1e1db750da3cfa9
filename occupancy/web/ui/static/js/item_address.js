// Where the API has an item.

export function addressOf(board, tag) {
  return `/api/boards/${board}/items/${encodeURIComponent(tag)}`;
}
