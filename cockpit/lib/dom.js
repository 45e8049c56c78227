/**
 * Elements of the page. Text only ever becomes text: nothing here reads HTML, as the names of
 * instances and clients are other people's.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `class`, `aria-…`, `data-…` and so on are attributes, an attribute that is true is
 * there without a value, one that is false or null is not there, and a function listens to the
 * event of its name (`click`).
 *
 * @param {string} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
        set(element, name, value);
    append(element, children);
    return element;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {Attributes[string]} value
 */
function set(element, name, value) {
    if (typeof value === "function")
        element.addEventListener(name, value);
    else if (value === true)
        element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
        element.setAttribute(name, String(value));
}

/**
 * @param {Element} element
 * @param {(Child | Child[])[]} children
 */
export function append(element, children) {
    for (const child of children.flat()) {
        if (child !== null && child !== undefined && child !== false)
            element.append(child instanceof Node ? child : String(child));
    }
}

/**
 * Give an element other children.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function replace(element, ...children) {
    element.replaceChildren();
    append(element, children);
}

/**
 * Exchange what is in an element only if the data that it shows has changed, so that the keyboard's
 * focus and selected text stay where they are while the page is refreshed.
 *
 * @param {HTMLElement} element
 * @param {unknown} data - that decides
 * @param {() => (Child | Child[])} make
 */
export function show(element, data, make) {
    const shown = JSON.stringify(data);
    if (element.dataset["shown"] === shown)
        return;
    const focused = focusKey(element);
    element.dataset["shown"] = shown;
    replace(element, make());
    if (focused)
        find(element, focused)?.focus();
}

/**
 * The key (`data-key`) of the focused element within another one.
 *
 * @param {HTMLElement} element
 */
function focusKey(element) {
    const active = document.activeElement;
    return active instanceof HTMLElement && element.contains(active) ? active.dataset["key"] : "";
}

/**
 * @param {HTMLElement} element
 * @param {string} key
 * @returns {HTMLElement | undefined}
 */
function find(element, key) {
    const all = /** @type {HTMLElement[]} */ ([...element.querySelectorAll("[data-key]")]);
    return all.find(each => each.dataset["key"] === key);
}

/**
 * The children of an element, one for each item and in their order: those whose data did not change
 * stay the same elements.
 *
 * @template T
 * @param {HTMLElement} element
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => unknown} data - what an item's element shows
 * @param {(item: T) => HTMLElement} make
 */
export function keyed(element, items, key, data, make) {
    const known = /** @type {Map<string, HTMLElement>} */ (new Map());
    for (const child of /** @type {HTMLElement[]} */ ([...element.children]))
        known.set(child.dataset["item"] ?? "", child);
    const focused = focusKey(element);
    const wanted = items.map(item => {
        const shown = JSON.stringify(data(item));
        const former = known.get(key(item));
        if (former && former.dataset["shown"] === shown)
            return former;
        const made = make(item);
        made.dataset["item"] = key(item);
        made.dataset["shown"] = shown;
        return made;
    });
    if (wanted.length === element.children.length &&
        wanted.every((child, place) => element.children[place] === child))
        return;
    element.replaceChildren(...wanted);
    if (focused && !element.contains(document.activeElement))
        find(element, focused)?.focus();
}

/**
 * A drawing of 16 × 16 by its path; decoration, so hidden from screen readers.
 *
 * @param {string} path
 * @param {string} [kind] - a class
 * @returns {SVGElement}
 */
export function icon(path, kind = "") {
    const drawing = document.createElementNS(SVG, "svg");
    for (const [name, value] of Object.entries({
        viewBox: "0 0 16 16", width: "1em", height: "1em", fill: "currentColor", "aria-hidden": "true",
    }))
        drawing.setAttribute(name, value);
    drawing.setAttribute("class", `page-icon ${kind}`);
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", path);
    line.setAttribute("fill-rule", "evenodd");
    drawing.append(line);
    return drawing;
}

export const ICONS = Object.freeze({
    info: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zM7 7v5h2V7zm0-3v2h2V4z",
    good: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zm3.3 4.6L7 8.9 4.7 6.6 3.3 8 7 11.7l5.7-5.7z",
    warning: "M8 1l8 14H0zM7 6v5h2V6zm0 6v2h2v-2z",
    danger: "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zM7 3v6h2V3zm0 8v2h2v-2z",
    right: "M5 2l7 6-7 6z",
    down: "M2 5h12l-6 7z",
});
