/** What `check` has found: alerts with what to type, and a button where the cure is safe. */

import { h, replace, show } from "../lib/dom.js";
import { parse, problems } from "../model/findings.js";
import { inspect } from "../programs/commands.js";
import { Problem } from "../programs/problem.js";
import { document as readDocument, run } from "../programs/run.js";
import { problemAlert } from "./dialog.js";
import { alert, button, copyable, emptyState, loading, withCode } from "./parts.js";

/** @typedef {import("../model/findings.js").Finding} Finding */

/** @type {Readonly<Record<string, string>>} */
const TONES = Object.freeze({ problem: "danger", note: "info", ok: "good" });
const EVERY = 60_000; // milliseconds: it looks into many places
const SOON = 2000; // milliseconds after a deed

export class Findings {
    /** @param {import("./app.js").App} app */
    constructor(app) {
        this.app = app;
        /** @type {Finding[]} */
        this.found = [];
        this.checkedAt = -Infinity;
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        this.timer = undefined;
        this.list = h("div", { class: "page-stack" }, loading("Checking the service"));
        this.head = h("div", { class: "page-filters" });
        this.element = h("section", { class: "page-stack", "aria-label": "Findings" }, this.head, this.list);
    }

    badge() {
        return problems(this.found);
    }

    async load() {
        if (!this.app.raised)
            return this.showLimited();
        if (performance.now() - this.checkedAt < EVERY)
            return;
        await this.check();
    }

    /**
     * Check in a while, once for all that was done until then.
     *
     * @param {() => void} then
     */
    soon(then) {
        clearTimeout(this.timer);
        if (!this.app.raised)
            return;
        this.timer = setTimeout(async () => {
            if (cockpit.hidden)
                return;
            await this.check();
            then();
        }, SOON);
    }

    showLimited() {
        show(this.list, "limited", () => emptyState("Findings need administrative access",
            ["The check looks into files that only root can read. Switch on administrative access at the top of the console."]));
    }

    async check() {
        this.checkedAt = performance.now();
        try {
            this.found = parse(await readDocument(inspect.findings(), { root: true }));
            show(this.head, this.badge(), () => [
                h("span", {}, this.badge() ? "" : "Everything is sound."),
                h("span", { class: "page-push" }),
                button("Check again", () => void this.again(), { key: "check" }),
            ]);
            show(this.list, this.found, () => this.findings());
        } catch (error) {
            if (error instanceof Problem && error.kind === "limited")
                return this.showLimited();
            show(this.list, String(error), () => problemAlert(error));
        }
    }

    async again() {
        this.list.removeAttribute("data-shown");
        this.head.removeAttribute("data-shown");
        replace(this.head);
        replace(this.list, loading("Checking the service"));
        await this.check();
        void this.app.refresh();
    }

    /** Alerts for what wants attention, and one list of what is sound. */
    findings() {
        const sound = this.found.filter(each => each.level === "ok");
        return [
            ...this.found.filter(each => each.level !== "ok").map(each => this.finding(each)),
            sound.length > 0 && h("section", { class: "pf-v6-c-card", "aria-label": "Sound" },
                h("div", { class: "pf-v6-c-card__body" }, h("h2", { class: "page-title" }, "Sound"),
                    h("ul", { class: "page-list" }, sound.map(each => h("li", {}, withCode(each.text)))))),
        ];
    }

    /** @param {Finding} finding */
    finding(finding) {
        const isCommand = finding.next === `\`${finding.typed[0]}\``;
        const body = finding.next ? [
            isCommand ? null : h("p", {}, withCode(finding.next)),
            ...finding.typed.map(command => copyable(command)),
        ] : [];
        const { command } = finding;
        const repair = command && button("Repair it now", () => void this.repair(command), { kind: "primary", small: true, label: `Repair it now: ${command.join(" ")}` });
        return alert(TONES[finding.level] ?? "info", withCode(finding.text), body, repair ? [repair] : []);
    }

    /** @param {string[]} command */
    async repair(command) {
        try {
            await run(command, { root: true });
        } catch (error) {
            // `check --repair` ends with 1 when there is something else to find, which is shown next.
            if (!(error instanceof Problem) || !/** @type {any} */ (error).output)
                this.app.complain(error);
        }
        await this.again();
    }
}
