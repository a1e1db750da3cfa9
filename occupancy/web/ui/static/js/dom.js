// Makes elements without markup in strings, so that a title always stays text.

/**
 * An element: h('button', {class: 'primary', onclick: take, disabled: false}, 'Take').
 * Properties that begin with 'on' are listeners; true sets an attribute, false leaves it out.
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

/** Replaces the children of an element; null, undefined and false are skipped. */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter(isThere));
}

function isThere(child) {
  return child !== null && child !== undefined && child !== false;
}

/** The element with an id; a page that lacks it is a bug. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** The visible part of the page between the fixed top and bottom: {low, high}, in px. */
export function sight() {
  const bottoms = [...document.querySelectorAll('.top, .my-work')].map((each) => each.getBoundingClientRect().bottom);
  return {low: Math.max(0, ...bottoms), high: byId('foot').getBoundingClientRect().top};
}

/**
 * Sets the text of an element if it differs: screen readers speak a live region each time it is set. The node of the
 * text stays, because a new one costs the browser twice as much.
 */
export function setText(element, text) {
  const only = element.firstChild;
  if (only && only === element.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== text) only.data = text;
  } else if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Sets an attribute if it differs: the browser styles again what was set to the same value, too. */
export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Sets a style if it differs: the browser lays out again what was set to the same value, too. */
export function setStyle(element, name, value) {
  if (element.style[name] !== value) element.style[name] = value;
}

/** Hides an element or shows it, if that is a change. */
export function setHidden(element, isHidden) {
  if (element.hidden !== isHidden) element.hidden = isHidden;
}

export function announce(text) {
  setText(byId('announcer'), text);
}
