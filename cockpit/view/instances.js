/** The instances: a table that is filtered, deeds, snapshots, terminals, the form for a new one. */

import { ICONS, h, icon, keyed, replace } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { completed, confirmation, deeds, filtered, isPassing, parse, tone } from "../model/instances.js";
import { obstacle } from "../model/state.js";
import { inspect, instance as commands, read } from "../programs/commands.js";
import { Problem } from "../programs/problem.js";
import { document as readDocument, run } from "../programs/run.js";
import { ask } from "./dialog.js";
import { openLaunch } from "./launch.js";
import { obstacleView } from "./obstacle.js";
import { bar, button, cell, emptyState, label, loading, select, table } from "./parts.js";
import { SnapshotPanel } from "./snapshots.js";
import { openTerminal } from "./terminal.js";

/** @typedef {import("../model/instances.js").Instance} Instance */
/** @typedef {import("../model/instances.js").Deed} Deed */

const USAGE_EVERY = 30_000; // milliseconds: it asks each running guest over SSH
const HEADINGS = ["Name", "State", "Address", "Image", "Owner", "CPUs", "Memory", "Disk", "(Actions)"];
const STATES = { "": "Any state", Running: "Running", Stopped: "Stopped", Suspended: "Suspended", Deleted: "Deleted", Unknown: "Unknown" };
/** @type {Readonly<Record<Deed, string>>} */
export const DEED_TEXTS = Object.freeze({
    start: "Start", stop: "Stop", restart: "Restart", suspend: "Suspend", delete: "Delete", recover: "Recover",
    purge: "Remove permanently", snapshot: "Snapshot", restore: "Restore", shell: "Terminal",
});
const IN_ROW = 2; // deeds beside the row; the others are in its details

export class Instances {
    /** @param {import("./app.js").App} app */
    constructor(app) {
        this.app = app;
        /** @type {Instance[]} */
        this.all = [];
        /** @type {Instance[]} */
        this.whole = [];
        /** @type {Promise<unknown> | null} */
        this.early = null;
        this.askedAt = -Infinity;
        this.asks = false;
        /** @type {Problem | null} */
        this.problem = null;
        this.words = "";
        this.state = "";
        /** @type {Map<string, SnapshotPanel>} of the instances whose details are open */
        this.open = new Map();
        /** @type {Map<string, string>} what is being done to an instance */
        this.busy = new Map();
        this.counted = h("span", { class: "page-small", role: "status" });
        this.element = h("section", { class: "page-stack", "aria-label": "Instances" }, loading("Reading the instances"));
        this.table = table("Instances", HEADINGS);
        this.filters = h("div", { class: "page-filters" },
            h("span", { class: "pf-v6-c-form-control page-search" },
                h("input", { type: "search", placeholder: "Filter by name, owner, address", "aria-label": "Filter the instances",
                    input: event => { this.words = event.target.value; this.showRows(); } })),
            h("span", { class: "pf-v6-c-form-control page-select" },
                select("state-filter", STATES, "", value => { this.state = value; this.showRows(); }, "State")),
            this.counted, h("span", { class: "page-push" }),
            button("Launch an instance", () => openLaunch(app), { kind: "primary", key: "launch" }));
        this.none = h("div", {});
        this.list = h("div", { class: "page-stack" }, this.filters, this.table.element, this.none);
        this.shown = "";
    }

    /** Ask already, for the first `load`: while it is found out who is at work. */
    ask() {
        this.early = readDocument(read.instances());
        this.early.catch(() => undefined); // `load` says what is wrong
    }

    async load() {
        try {
            const answer = await (this.early ?? readDocument(read.instances()));
            this.all = completed(parse(/** @type {any} */ (answer)), this.whole);
            this.problem = null;
        } catch (error) {
            this.problem = await this.reason(error instanceof Problem ? error : new Problem(String(error)));
        } finally {
            this.early = null;
        }
        this.show();
        if (!this.problem && this.all.length)
            void this.loadUsage();
    }

    /**
     * A question that enrols no client is refused alike where this client is unknown and where no
     * client can be known; only root can tell.
     *
     * @param {Problem} problem
     */
    async reason(problem) {
        if (problem.kind !== "unauthenticated" || !this.app.raised)
            return problem;
        try {
            await readDocument(inspect.clients(), { root: true });
            return problem;
        } catch (error) {
            return error instanceof Problem && error.kind === "damaged" ? error : problem;
        }
    }

    /** CPUs, memory and disk: asked seldom, and never waited for. */
    async loadUsage() {
        const isNew = this.all.some(each => !isPassing(each) && !this.whole.some(known => known.name === each.name && known.state === each.state));
        if (this.asks || (performance.now() - this.askedAt < USAGE_EVERY && !isNew))
            return;
        this.asks = true;
        try {
            this.whole = parse(/** @type {any} */ (await readDocument(read.usage())));
            this.all = completed(this.all, this.whole);
            this.showRows();
        } catch {
            // The quick question says what is wrong.
        } finally {
            this.asks = false;
            this.askedAt = performance.now();
        }
    }

    /** @param {string} owner */
    namesOf(owner) {
        return this.all.filter(each => each.owner === owner).map(each => each.name);
    }

    show() {
        const why = obstacle(this.problem);
        const shown = JSON.stringify([why, this.app.raised, this.problem?.message]);
        if (shown !== this.shown) {
            this.shown = shown;
            replace(this.element, why === "none" ? this.list : obstacleView(this.app, why, this.problem));
        }
        this.showRows();
    }

    showRows() {
        const rows = filtered(this.all, this.words, this.state);
        this.counted.textContent = rows.length === this.all.length
            ? count(rows.length, "instance") : `${rows.length} of ${count(this.all.length, "instance")}`;
        this.table.element.hidden = rows.length === 0;
        if (rows.length)
            replace(this.none);
        else if (!this.none.hasChildNodes() || this.none.dataset["all"] !== String(this.all.length))
            this.showNone();
        const items = rows.flatMap(row => {
            const panel = this.open.get(row.name);
            return panel ? [{ row, panel: null }, { row, panel }] : [{ row, panel: null }];
        });
        keyed(this.table.body, items, ({ row, panel }) => `${row.name}${panel ? "/" : ""}`,
            ({ row }) => [row, this.busy.get(row.name), this.open.has(row.name)],
            ({ row, panel }) => panel ? this.details(row, panel) : this.row(row));
    }

    showNone() {
        this.none.dataset["all"] = String(this.all.length);
        replace(this.none, this.all.length
            ? emptyState("No instance fits the filter", ["Use fewer words, or another state."])
            : emptyState("There are no instances", ["Launch one from an image: it takes its first start a minute or so."],
                [button("Launch an instance", () => openLaunch(this.app), { kind: "primary" })]));
    }

    /** @param {Instance} row */
    row(row) {
        const { name } = row;
        const isOpen = this.open.has(name);
        const doing = this.busy.get(name);
        return h("tr", { class: "pf-v6-c-table__tr", "data-name": name },
            cell("Name", h("span", { class: "page-name" }, h("button", {
                class: "pf-v6-c-button pf-m-plain pf-m-small", type: "button", "aria-expanded": isOpen, "aria-label": `Details of ${name}`,
                "data-key": `open ${name}`, click: () => this.toggle(name),
            }, icon(isOpen ? ICONS.down : ICONS.right)), name)),
            cell("State", doing ? label(doing, "info") : label(row.state, tone(row))),
            cell("Address", row.addresses.length ? row.addresses.join(", ") : "–",
                ...row.location ? [h("div", { class: "page-small" }, `on ${row.location}`)] : []),
            cell("Image", h("span", { class: "page-name" }, row.image || "–")),
            cell("Owner", h("span", { class: "page-name" }, row.owner || "–")),
            cell("CPUs", bar(`CPUs of ${name}, by the load`, row.cpus, amount => String(amount))),
            cell("Memory", bar(`Memory of ${name}`, row.memory)),
            cell("Disk", bar(`Disk of ${name}`, row.disk)),
            cell("", h("div", { class: "page-actions" }, deeds(row).slice(0, IN_ROW).map(deed => this.button(deed, row)))));
    }

    /**
     * @param {Instance} row
     * @param {SnapshotPanel} panel
     */
    details(row, panel) {
        void panel.load(row);
        return h("tr", { class: "pf-v6-c-table__tr", "data-details": row.name },
            h("td", { class: "pf-v6-c-table__td", colspan: HEADINGS.length },
                h("div", { class: "page-details" },
                    h("div", { class: "page-actions" }, deeds(row).map(deed => this.button(deed, row, "details"))),
                    panel.element)));
    }

    /**
     * @param {Deed} deed
     * @param {Instance} row
     * @param {string} [place]
     */
    button(deed, row, place = "row") {
        const danger = deed === "delete" || deed === "purge";
        return button(DEED_TEXTS[deed], () => this.begin(deed, row), {
            kind: danger ? "danger" : "secondary", small: true, key: `${place} ${deed} ${row.name}`,
            label: `${DEED_TEXTS[deed]}: ${row.name}`, disabled: this.busy.has(row.name),
        });
    }

    /** @param {string} name */
    toggle(name) {
        if (!this.open.delete(name))
            this.open.set(name, new SnapshotPanel(this.app, name));
        this.showRows();
    }

    /**
     * @param {Deed} deed
     * @param {Instance} row
     */
    begin(deed, row) {
        if (deed === "shell")
            return openTerminal(row.name);
        if (deed === "snapshot") {
            if (!this.open.has(row.name))
                this.toggle(row.name);
            return this.open.get(row.name)?.take();
        }
        const question = confirmation(deed, row);
        if (!question)
            return void this.do(deed, row.name);
        ask({
            title: question.title, children: [h("p", {}, question.text)], button: question.button, danger: true,
            deed: async () => void this.do(deed, row.name),
        });
    }

    /**
     * @param {Exclude<Deed, "shell" | "snapshot" | "restore"> | Deed} deed
     * @param {string} name
     */
    async do(deed, name) {
        const words = /** @type {Record<string, (name: string) => string[]>} */ (/** @type {unknown} */ (commands))[deed];
        if (!words)
            return;
        this.busy.set(name, `${DEED_TEXTS[deed]} …`);
        this.showRows();
        try {
            await run(words(name));
        } catch (error) {
            this.app.complain(error);
        } finally {
            this.busy.delete(name);
            this.app.changed();
        }
    }
}
