// The requests that draw many labels: whole pages each, short enough for an address. Pure.

const MOST_TAGS = 48; // in a request, so that a busy server has answered it within seconds
const MOST_CHARS = 3200; // servers and proxies refuse addresses from 4,096 on

/**
 * The queries that draw the labels of `tags`, in their order: [{query, count}]. A page has `perPage`
 * labels; the first of them begins at its label `first`, counted from 1. Tags need no encoding.
 */
export function requestsFor(tags, {stock, perPage, first = 1}) {
  const requests = [];
  let next = 0;
  while (next < tags.length) {
    const begin = next === 0 ? first : 1;
    const page = (start, from) => tags.slice(start, start + perPage - from + 1);
    let taken = page(next, begin);
    for (;;) {
      const more = page(next + taken.length, 1);
      const all = [...taken, ...more];
      if (more.length === 0 || all.length > MOST_TAGS || all.join(',').length > MOST_CHARS) break;
      taken = all;
    }
    const place = begin === 1 ? '' : `&first=${begin}`;
    requests.push({query: `stock=${stock}${place}&tags=${taken.join(',')}`, count: taken.length});
    next += taken.length;
  }
  return requests;
}

/** How many pages the labels take. */
export function pagesFor(count, {perPage, first = 1}) {
  return count === 0 ? 0 : Math.ceil((count + first - 1) / perPage);
}
