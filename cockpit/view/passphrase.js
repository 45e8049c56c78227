/** The passphrase with which people let themselves in: set, changed, cleared. */

import { h, show } from "../lib/dom.js";
import { admit } from "../programs/commands.js";
import { run } from "../programs/run.js";
import { ask } from "./dialog.js";
import { button, field, label, tell } from "./parts.js";

export class Passphrase {
    /** @param {import("./app.js").App} app */
    constructor(app) {
        this.app = app;
        this.element = h("section", { class: "pf-v6-c-card", "aria-label": "Passphrase" });
    }

    /**
     * @param {boolean} own - may the user's own client set it?
     * @param {boolean | null} isSet
     */
    async load(own, isSet) {
        show(this.element, [own, isSet], () => h("div", { class: "pf-v6-c-card__body" },
            h("div", { class: "page-filters" },
                h("h2", { class: "page-title" }, "Passphrase"),
                isSet === null ? null : label(isSet ? "set" : "not set", isSet ? "info" : "quiet"),
                h("span", { class: "page-small" }, "Who has it lets any number of clients in. Invitations need none, and can't be guessed."),
                h("span", { class: "page-push" }),
                own && button(isSet ? "Change" : "Set", () => this.set(), { key: "set passphrase", label: `${isSet ? "Change" : "Set"} the passphrase` }),
                own && isSet !== false && button("Clear", () => this.clear(), { kind: "danger", key: "clear passphrase", label: "Clear the passphrase" }))));
    }

    set() {
        const first = secret("passphrase", "new-password"), second = secret("passphrase-again", "new-password");
        ask({
            title: "Set the passphrase",
            children: [field("Passphrase", first), field("Again", second)],
            button: "Set",
            deed: async dialog => {
                const wrong = {
                    passphrase: first.value ? "" : "Type a passphrase.",
                    "passphrase-again": first.value === second.value ? "" : "This is another one.",
                };
                if (!tell(dialog.element, wrong))
                    return false;
                await run(admit.setPassphrase(), { input: `${first.value}\n` });
                this.app.changed();
                return true;
            },
        });
    }

    clear() {
        ask({
            title: "Clear the passphrase?",
            children: [h("p", {}, "It lets no client in any more. Clients that are trusted stay so.")],
            button: "Clear",
            danger: true,
            deed: async () => {
                await run(admit.clearPassphrase());
                this.app.changed();
            },
        });
    }
}

/**
 * @param {string} id
 * @param {string} autocomplete
 */
function secret(id, autocomplete) {
    return /** @type {HTMLInputElement} */ (h("input", { id, type: "password", autocomplete, required: true }));
}
