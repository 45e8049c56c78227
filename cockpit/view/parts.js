/** PatternFly's components that the page is made of, as functions that make elements. */

import { ICONS, h, icon } from "../lib/dom.js";
import { size } from "../lib/format.js";

/** @typedef {import("../lib/dom.js").Child} Child */

/** @type {Readonly<Record<string, string>>} */
const BUTTONS = Object.freeze({
    primary: "pf-m-primary", secondary: "pf-m-secondary", danger: "pf-m-danger", link: "pf-m-link", plain: "pf-m-plain",
});
/** @type {Readonly<Record<string, string>>} */
const LABELS = Object.freeze({
    good: "pf-m-green", info: "pf-m-blue", quiet: "pf-m-grey", warning: "pf-m-orange", danger: "pf-m-red",
});
/** @type {Readonly<Record<string, [string, string]>>} */
const ALERTS = Object.freeze({
    good: ["pf-m-success", ICONS.good], info: ["pf-m-info", ICONS.info],
    warning: ["pf-m-warning", ICONS.warning], danger: ["pf-m-danger", ICONS.danger],
});
/** What the colour of an alert says, for those who hear it. */
/** @type {Readonly<Record<string, string>>} */
const ALERT_WORDS = Object.freeze({ good: "Success", info: "Note", warning: "Warning", danger: "Problem" });

/**
 * @param {string} text
 * @param {() => void} click
 * @param {{kind?: string, key?: string, small?: boolean, disabled?: boolean, label?: string, type?: string}} [how]
 *     - `key`: keeps the focus over a refresh; `label`: for screen readers, where the text alone says too little
 */
export function button(text, click, how = {}) {
    const { kind = "secondary", key, small = false, disabled = false, type = "button" } = how;
    return h("button", {
        class: `pf-v6-c-button ${BUTTONS[kind]}${small ? " pf-m-small" : ""}`,
        type, "data-key": key, disabled, "aria-label": how.label, click,
    }, h("span", { class: "pf-v6-c-button__text" }, text));
}

/**
 * @param {string} text
 * @param {string} tone
 */
export function label(text, tone) {
    return h("span", { class: `pf-v6-c-label pf-m-compact ${LABELS[tone]}` },
        h("span", { class: "pf-v6-c-label__content" },
            h("span", { class: "pf-v6-c-label__text" }, text)));
}

/**
 * A sentence of the programs, in which commands and paths stand between backquotes.
 *
 * @param {string} sentence
 * @returns {Child[]}
 */
export function withCode(sentence) {
    const capital = sentence.charAt(0).toUpperCase() + sentence.slice(1);
    const whole = sentence.startsWith("/") || sentence.startsWith("`") ? sentence : capital;
    return whole.split("`").map((part, place) => place % 2 ? h("code", { class: "page-mono" }, part) : part);
}

/**
 * @param {string} tone
 * @param {Child | Child[]} title
 * @param {Child[]} [body]
 * @param {HTMLElement[]} [actions]
 */
export function alert(tone, title, body = [], actions = []) {
    const [kind, drawing] = ALERTS[tone] ?? ["", ICONS.info];
    return h("div", { class: `pf-v6-c-alert pf-m-inline ${kind}` },
        h("div", { class: "pf-v6-c-alert__icon" }, icon(drawing)),
        h("p", { class: "pf-v6-c-alert__title" },
            h("span", { class: "page-heard" }, `${ALERT_WORDS[tone]}: `), ...[title].flat()),
        body.length > 0 && h("div", { class: "pf-v6-c-alert__description" }, body),
        actions.length > 0 && h("div", { class: "pf-v6-c-alert__action-group" }, actions));
}

/**
 * @param {string} title
 * @param {Child[]} body
 * @param {HTMLElement[]} [actions]
 */
export function emptyState(title, body, actions = []) {
    return h("div", { class: "pf-v6-c-empty-state" },
        h("div", { class: "pf-v6-c-empty-state__content" },
            h("div", { class: "pf-v6-c-empty-state__header" },
                h("div", { class: "pf-v6-c-empty-state__title" },
                    h("h2", { class: "pf-v6-c-empty-state__title-text" }, title))),
            h("div", { class: "pf-v6-c-empty-state__body" }, body),
            actions.length > 0 && h("div", { class: "pf-v6-c-empty-state__footer" },
                h("div", { class: "pf-v6-c-empty-state__actions" }, actions))));
}

/** @param {string} text */
export function loading(text) {
    return h("div", { class: "page-loading" },
        h("div", { class: "pf-v6-c-skeleton pf-m-text-lg" },
            h("span", { class: "page-heard" }, text)),
        h("div", { class: "pf-v6-c-skeleton pf-m-text-lg" }),
        h("div", { class: "pf-v6-c-skeleton pf-m-text-lg" }));
}

/**
 * How much of a whole is used, as a small bar; without a bar where only the whole is known.
 *
 * @param {string} what
 * @param {{used: number, total: number} | null} share
 * @param {(amount: number) => string} [shown]
 */
export function bar(what, share, shown = size) {
    if (!share)
        return h("span", {}, "–");
    if (!share.used)
        return h("span", {}, shown(share.total));
    const percent = Math.min(100, Math.round(share.used / share.total * 100));
    const indicator = h("div", { class: "pf-v6-c-progress__indicator" });
    indicator.style.setProperty("inline-size", `${percent}%`);
    const text = `${shown(share.used)} of ${shown(share.total)}`;
    return h("div", { class: `pf-v6-c-progress pf-m-sm page-bar${percent >= 90 ? " pf-m-danger" : ""}` },
        h("div", {
            class: "pf-v6-c-progress__bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100,
            "aria-valuenow": percent, "aria-valuetext": text, "aria-label": what,
        }, indicator),
        h("span", { class: "page-small" }, text));
}

/**
 * A table with its headings; the body is for `each`. On narrow screens each row is a block, with
 * the headings (`data-label`) before the cells.
 *
 * @param {string} caption
 * @param {string[]} headings
 */
export function table(caption, headings) {
    const body = h("tbody", { class: "pf-v6-c-table__tbody" });
    const element = h("table", { class: "pf-v6-c-table pf-m-grid-md pf-m-compact", "aria-label": caption },
        h("thead", { class: "pf-v6-c-table__thead" },
            h("tr", { class: "pf-v6-c-table__tr" }, headings.map(text =>
                h("th", { class: "pf-v6-c-table__th", scope: "col" },
                    text.startsWith("(") ? h("span", { class: "page-heard" }, text.slice(1, -1)) : text)))),
        body);
    return { element, body };
}

/**
 * @param {string} heading
 * @param {...(Child | Child[])} children
 */
export function cell(heading, ...children) {
    return h("td", { class: "pf-v6-c-table__td", "data-label": heading }, ...children);
}

/**
 * A form's field with its label, a hint below, and room for what is wrong in it.
 *
 * @param {string} text
 * @param {HTMLElement} control - with an id
 * @param {string} [hint]
 */
export function field(text, control, hint = "") {
    const wrong = h("span", { class: "page-wrong", id: `${control.id}-wrong`, role: "alert" });
    const about = h("span", { class: "page-small", id: `${control.id}-hint` }, hint);
    control.setAttribute("aria-describedby", `${about.id} ${wrong.id}`);
    const plain = control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type);
    return h("div", { class: "pf-v6-c-form__group" },
        h("div", { class: "pf-v6-c-form__group-label" },
            h("label", { class: "pf-v6-c-form__label", for: control.id },
                h("span", { class: "pf-v6-c-form__label-text" }, text))),
        h("div", { class: "pf-v6-c-form__group-control" },
            plain ? control : h("span", { class: `pf-v6-c-form-control${control.tagName === "TEXTAREA" ? " pf-m-textarea" : ""}` }, control),
            about, wrong));
}

/**
 * Say what is wrong in the fields of a form, and put the cursor into the first of them.
 *
 * @param {HTMLElement} form
 * @param {Record<string, string | undefined>} mistakes - by the id of the control
 * @returns {boolean} is all well?
 */
export function tell(form, mistakes) {
    let first = true;
    for (const control of /** @type {HTMLElement[]} */ ([...form.querySelectorAll("input, select, textarea")])) {
        const mistake = mistakes[control.id] ?? "";
        control.setAttribute("aria-invalid", String(mistake !== ""));
        const wrong = form.querySelector(`[id="${control.id}-wrong"]`);
        if (wrong)
            wrong.textContent = mistake;
        if (mistake && first) {
            control.focus();
            first = false;
        }
    }
    return first;
}

/**
 * @param {string} id
 * @param {Record<string, string>} choices - texts by value
 * @param {string} chosen
 * @param {((value: string) => void)} [change]
 * @param {string} [name] - for screen readers, where there is no label
 */
export function select(id, choices, chosen, change, name) {
    return h("select", {
        id, "aria-label": name, "data-key": id,
        change: event => change?.(event.target.value),
    }, Object.entries(choices).map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

/**
 * Words to copy, with the button that does it.
 *
 * @param {string} words
 * @param {string} [what] - for screen readers
 */
export function copyable(words, what = "command") {
    const copied = h("span", { class: "page-small", role: "status" });
    const copy = button("Copy", async () => {
        copied.textContent = await toClipboard(words, text) ? "Copied" : "Select it and copy it by hand";
    }, { small: true, label: `Copy the ${what}`, key: `copy ${words}` });
    const text = h("code", { class: "page-code" }, words);
    return h("div", { class: "page-copy" }, text, copy, copied);
}

/**
 * @param {string} words
 * @param {HTMLElement} shown
 */
async function toClipboard(words, shown) {
    try {
        await navigator.clipboard.writeText(words);
        return true;
    } catch {
        // Without HTTPS, or in a frame that may not: what is selected can be copied all the same.
        getSelection()?.selectAllChildren(shown);
        return document.execCommand("copy");
    }
}
