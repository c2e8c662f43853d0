// The little that a page needs to build itself. Text only ever becomes text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element. Strings among the children become text. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** A glyph of index.html, decoration unless it is given a name. */
export function glyph(name, label = "") {
  const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return s("svg", { class: `glyph g-${name}`, ...named }, s("use", { href: `#g-${name}` }));
}

export const byId = (id) => document.getElementById(id);

/** Replace an element's content only when its text would differ. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make a parent's children those of items, in order. Children that stay are not moved or rebuilt, so focus and
 * disclosure survive; one whose item is the same object as before is not touched.
 */
export function keyed(parent, items, make, update, keyOf = (item) => item.id) {
  const shown = (parent.shown ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, entry] of shown) {
    if (wanted.has(key)) continue;
    entry.element.remove();
    shown.delete(key);
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let entry = shown.get(key);
    if (!entry) shown.set(key, (entry = { element: make(item), item: null }));
    if (entry.element === next) next = next.nextElementSibling;
    else parent.insertBefore(entry.element, next);
    if (entry.item !== item) {
      update(entry.element, item);
      entry.item = item;
    }
  }
}
