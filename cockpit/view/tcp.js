/** The service's TCP address: where it listens, who can reach it, on and off. */

import { h, show } from "../lib/dom.js";
import { administer, inspect } from "../programs/commands.js";
import { document as readDocument, run } from "../programs/run.js";
import { ask, problemAlert } from "./dialog.js";
import { button, field, label } from "./parts.js";

const EVERY = 30_000; // milliseconds: only deeds change it

/**
 * @typedef {object} State - of `multipass-trust tcp status`
 * @property {boolean} on
 * @property {boolean} at_boot
 * @property {string} address
 * @property {boolean} wide - can other machines reach it?
 * @property {string[]} notes
 */

export class Tcp {
    /** @param {import("./app.js").App} app */
    constructor(app) {
        this.app = app;
        this.readAt = -Infinity;
        this.deeds = -1;
        this.element = h("section", { class: "pf-v6-c-card", "aria-label": "TCP" }, this.body([]));
    }

    async load() {
        if (!this.app.raised)
            return show(this.element, "limited", () => this.body([h("span", { class: "page-small" }, "Shown with administrative access.")]));
        if (this.deeds === this.app.deeds && performance.now() - this.readAt < EVERY)
            return;
        this.deeds = this.app.deeds;
        try {
            const state = /** @type {State} */ (await readDocument(inspect.tcp(), { root: true }));
            show(this.element, state, () => this.state(state));
        } catch (error) {
            show(this.element, String(error), () => this.body([problemAlert(error)]));
        } finally {
            this.readAt = performance.now();
        }
    }

    /** @param {State} state */
    state(state) {
        const for_ = state.wide ? "for every machine that reaches it" : "for this machine alone";
        const text = state.on
            ? `${state.address}, ${for_}${state.at_boot ? ", also after a reboot" : ", until the next boot"}`
            : `It would listen on ${state.address}${state.at_boot ? ", and does so again after a reboot" : ""}`;
        return this.body([
            label(state.on ? "on" : "off", state.on ? "info" : "quiet"),
            h("span", { class: "page-small" }, text),
            h("span", { class: "page-push" }),
            button(state.on ? "Change" : "Switch on", () => this.enable(state), { key: "tcp on", label: `${state.on ? "Change" : "Switch on"} TCP` }),
            (state.on || state.at_boot) && button("Switch off", () => this.disable(), { kind: "danger", key: "tcp off", label: "Switch TCP off" }),
        ], state.notes);
    }

    /**
     * @param {import("../lib/dom.js").Child[]} line
     * @param {string[]} [notes]
     */
    body(line, notes = []) {
        return h("div", { class: "pf-v6-c-card__body" },
            h("div", { class: "page-filters" }, h("h2", { class: "page-title" }, "TCP"), line),
            notes.map(note => h("p", { class: "page-small" }, note)));
    }

    /** @param {State} state */
    enable(state) {
        const address = /** @type {HTMLInputElement} */ (h("input", { id: "tcp-address", autocomplete: "off", value: state.address }));
        const user = /** @type {HTMLInputElement} */ (h("input", { id: "tcp-user", autocomplete: "off", value: this.app.user }));
        ask({
            title: "Have the service listen on TCP",
            children: [
                h("p", {}, "Every program on this machine, and with 0.0.0.0 every machine that reaches it, may then try to get in. Clients that are not trusted are refused."),
                field("Address", address, "127.0.0.1:50051 for this machine, 0.0.0.0:50051 for others, too."),
                field("User", user, "Whose client is trusted with it."),
            ],
            button: "Switch on",
            deed: async () => {
                const moved = address.value.trim() === state.address ? "" : address.value.trim();
                await run(administer.tcpEnable(user.value.trim(), moved), { root: true });
                this.app.changed();
            },
        });
    }

    disable() {
        ask({
            title: "Switch TCP off?",
            children: [h("p", {}, "Clients on other machines can't connect any more, and their sessions end. Who is trusted stays so.")],
            button: "Switch off",
            danger: true,
            deed: async () => {
                await run(administer.tcpDisable(), { root: true });
                this.app.changed();
            },
        });
    }
}
