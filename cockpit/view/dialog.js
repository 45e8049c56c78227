/** Dialogs: the browser's own, which keeps the keyboard within and gives it back. */

import { h, replace } from "../lib/dom.js";
import { alert, button } from "./parts.js";
import { Problem } from "../programs/problem.js";

/** @typedef {import("../lib/dom.js").Child} Child */

/**
 * @typedef {object} Dialog
 * @property {HTMLDialogElement} element
 * @property {HTMLElement} body
 * @property {() => void} close
 */

let number = 0;

/**
 * @param {string} title
 * @param {Child[]} children
 * @param {HTMLElement[]} buttons
 * @param {{wide?: boolean, closed?: () => void}} [how]
 * @returns {Dialog}
 */
export function open(title, children, buttons, how = {}) {
    number += 1;
    const id = `dialog-${number}`;
    const body = h("div", { class: "pf-v6-c-modal-box__body" }, children);
    const element = /** @type {HTMLDialogElement} */ (h("dialog", {
        class: `pf-v6-c-modal-box page-dialog${how.wide ? " pf-m-lg page-dialog-wide" : " pf-m-md"}`,
        "aria-labelledby": id,
        close: () => {
            element.remove();
            how.closed?.();
        },
    },
    h("header", { class: "pf-v6-c-modal-box__header" },
        h("div", { class: "pf-v6-c-modal-box__header-main" },
            h("h1", { class: "pf-v6-c-modal-box__title", id },
                h("span", { class: "pf-v6-c-modal-box__title-text" }, title)))),
    body,
    h("footer", { class: "pf-v6-c-modal-box__footer" }, buttons)));
    document.body.append(element);
    element.showModal();
    return { element, body, close: () => element.close() };
}

/**
 * A dialog that does something: its main button runs `deed`, and it closes when that is done; what
 * went wrong is said in it, and can be tried again.
 *
 * @param {object} about
 * @param {string} about.title
 * @param {Child[]} about.children
 * @param {string} about.button
 * @param {boolean} [about.danger]
 * @param {(dialog: Dialog) => Promise<boolean | void>} about.deed - false keeps it open
 */
export function ask({ title, children, button: text, danger = false, deed }) {
    const trouble = h("div", { role: "alert" });
    const main = button(text, () => undefined, { kind: danger ? "danger" : "primary", type: "submit" });
    const cancel = button("Cancel", () => dialog.close(), { kind: "link" });
    const form = h("form", {
        class: "pf-v6-c-form", novalidate: true,
        submit: event => {
            event.preventDefault();
            void act();
        },
    }, children, trouble, h("div", { class: "page-actions" }, main, cancel));
    const dialog = open(title, [form], []);
    dialog.element.querySelector("footer")?.remove();

    async function act() {
        busy(true);
        trouble.replaceChildren();
        try {
            if (await deed(dialog) !== false)
                dialog.close();
        } catch (error) {
            trouble.append(problemAlert(error));
        } finally {
            busy(false);
        }
    }

    /** @param {boolean} is */
    function busy(is) {
        main.toggleAttribute("disabled", is);
        form.setAttribute("aria-busy", String(is));
        replace(cancel, is ? "Close, it goes on" : "Cancel");
    }

    return dialog;
}

/**
 * What went wrong, with the next step.
 *
 * @param {unknown} error
 * @param {HTMLElement[]} [actions]
 */
export function problemAlert(error, actions = []) {
    const next = error instanceof Problem ? error.next : "";
    const text = error instanceof Error ? error.message : String(error);
    return alert("danger", text, next ? next.split("\n").map(line => h("p", {}, line)) : [], actions);
}
