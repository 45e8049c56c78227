/** The head of the page: the state of service and socket, start and stop, its journal. */

import { h, show } from "../lib/dom.js";
import { parseUnits, stateOf } from "../model/service.js";
import { SERVICE, administer, read } from "../programs/commands.js";
import { run } from "../programs/run.js";
import { ask } from "./dialog.js";
import { button, label } from "./parts.js";

export class ServiceHeader {
    /**
     * @param {import("./app.js").App} app
     * @param {HTMLElement} element
     */
    constructor(app, element) {
        this.app = app;
        this.element = element;
    }

    async load() {
        let units;
        try {
            units = parseUnits(await run(read.units()));
        } catch {
            units = parseUnits("");
        }
        const state = stateOf(units);
        const { raised } = this.app;
        show(this.element, [state, raised], () => [
            h("span", { class: "page-title", "aria-hidden": "true" }, h("strong", {}, "Multipass")),
            h("span", { class: "page-heard" }, "Service: "), label(state.text, state.tone),
            h("span", { class: "page-small", id: "service-detail" }, state.detail),
            h("span", { class: "page-push" }),
            !raised && h("span", { class: "page-small", id: "limited" }, "Limited access: what needs root is not offered."),
            raised && state.canStart && button("Start", () => void this.app.act(administer.start(), { root: true }), { kind: "primary", key: "start" }),
            raised && state.canStop && button("Stop", () => this.stop(), { key: "stop" }),
            button("Journal", () => cockpit.jump(`/system/logs/#/?prio=debug&service=${SERVICE}`), { kind: "link", key: "journal" }),
        ]);
    }

    stop() {
        ask({
            title: "Stop the service?",
            children: [h("p", {}, "No client can connect until it is started again, and commands that run end. Instances go on running.")],
            button: "Stop",
            danger: true,
            deed: async () => {
                await run(administer.stop(), { root: true });
                this.app.changed();
            },
        });
    }
}
