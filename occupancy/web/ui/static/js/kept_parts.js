// Kept parts: a row that is drawn again keeps the elements whose content is the same, because the browser styles, lays
// out and paints each new one.

/** The part of a row with this name: the one that it has, if that shows the same, or the one that `make()` returns. */
export function part(row, name, shows, make) {
  row.parts ??= new Map();
  const known = row.parts.get(name);
  if (known?.shows === shows) return known.element;
  const element = make();
  row.parts.set(name, {shows, element});
  return element;
}

/** Gives an element these children, null and false left out, and touches none that is in its place. */
export function arrange(element, ...children) {
  const wanted = children.filter(Boolean);
  for (const child of [...element.childNodes]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, index) => {
    const there = element.childNodes[index] ?? null;
    if (there !== child) element.insertBefore(child, there);
  });
  return element;
}
