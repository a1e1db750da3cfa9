// A board's filter, kept in the page's address, so it survives a reload and can be shared.

export const NONE = {state: '', step: '', mine: false, text: ''};

export function readFilter() {
  const query = new URLSearchParams(location.search);
  return {state: query.get('state') ?? '', step: query.get('step') ?? '',
    mine: query.has('mine'), text: query.get('q') ?? ''};
}

export function writeFilter(filter) {
  const query = new URLSearchParams();
  if (filter.state) query.set('state', filter.state);
  if (filter.step) query.set('step', filter.step);
  if (filter.mine) query.set('mine', '');
  if (filter.text) query.set('q', filter.text);
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
}
