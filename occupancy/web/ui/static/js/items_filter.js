// The filter of the list of items, kept in the page's address, so it survives a reload and can be shared.

export function readFilter() {
  const query = new URLSearchParams(location.search);
  return {state: query.get('state') ?? '', step: query.get('step') ?? '',
    text: query.get('q') ?? ''};
}

export function writeFilter(filter) {
  const query = new URLSearchParams();
  if (filter.state) query.set('state', filter.state);
  if (filter.step) query.set('step', filter.step);
  if (filter.text) query.set('q', filter.text);
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
}
