// Elements without markup in strings: whatever somebody wrote in a title stays text.

/**
 * An element: h('button', {class: 'primary', onclick: take, disabled: false}, 'Take').
 * Properties that begin with 'on' are listeners; true and false set and leave out an attribute.
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children.filter(isThere));
  return element;
}

/** Puts children in place of those that an element has; null, undefined and false are none. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter(isThere));
}

function isThere(child) {
  return child !== null && child !== undefined && child !== false;
}

/** The element with an id; a page that lacks it is a mistake of ours. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** What is in sight of the page between what stays at the top and at the bottom: {low, high}, in px. */
export function sight() {
  const bottoms = [...document.querySelectorAll('.top, .my-work')].map((each) => each.getBoundingClientRect().bottom);
  return {low: Math.max(0, ...bottoms), high: byId('foot').getBoundingClientRect().top};
}

/** Sets the text of an element, only if it differs: a live region speaks each time it is set. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something to those who listen to the page instead of looking at it. */
export function announce(text) {
  setText(byId('announcer'), text);
}
