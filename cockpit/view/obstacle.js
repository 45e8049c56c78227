/** What stands in the place of the instances while the service does not show them: why, and the way in. */

import { h } from "../lib/dom.js";
import { EXPLANATIONS } from "../model/state.js";
import { admit, administer } from "../programs/commands.js";
import { run } from "../programs/run.js";
import { ask } from "./dialog.js";
import { button, emptyState, field } from "./parts.js";

const SAID = ["closed", "damaged", "failed"]; // of these the program's own words say more

/**
 * @param {import("./app.js").App} app
 * @param {import("../model/state.js").Obstacle} obstacle
 * @param {import("../programs/problem.js").Problem | null} problem
 */
export function obstacleView(app, obstacle, problem) {
    const { title, text, limited } = EXPLANATIONS[obstacle];
    const said = [h("p", {}, app.raised ? text : limited)];
    if (problem && SAID.includes(obstacle))
        said.push(h("p", { class: "page-small" }, problem.message), h("p", { class: "page-small" }, problem.next));
    return emptyState(title, said, actions(app, obstacle));
}

/**
 * @param {import("./app.js").App} app
 * @param {import("../model/state.js").Obstacle} obstacle
 */
function actions(app, obstacle) {
    const found = [];
    if (obstacle === "down" && app.raised)
        found.push(button("Start the service", () => void app.act(administer.start(), { root: true }), { kind: "primary" }));
    if (obstacle === "damaged" && app.raised)
        found.push(button("Show findings", () => cockpit.location.go(["findings"]), { kind: "primary" }));
    if (["untrusted", "closed"].includes(obstacle) && app.raised)
        found.push(button(`Let ${app.user} in`, () => void app.act(administer.add(app.user), { root: true }), { kind: "primary" }));
    if (obstacle === "untrusted")
        found.push(button("Enter a passphrase or an invitation", () => authenticate(app)));
    return found;
}

/** @param {import("./app.js").App} app */
function authenticate(app) {
    const secret = /** @type {HTMLInputElement} */ (h("input", { id: "secret", type: "password", autocomplete: "off", required: true }));
    ask({
        title: "Let yourself in",
        children: [field("Passphrase or invitation", secret, "An invitation begins with mpi1-.")],
        button: "Authenticate",
        deed: async () => {
            const typed = secret.value.trim().replace(/^multipass authenticate /, "");
            await run(admit.authenticate(), { input: `${typed}\n`, enrols: true });
            app.changed();
        },
    });
}
