/** Who did what: the service's records of the journal, filtered. */

import { h, keyed, replace, show } from "../lib/dom.js";
import { MOST, SINCE, filtered, parse } from "../model/activity.js";
import { inspect } from "../programs/commands.js";
import { Problem } from "../programs/problem.js";
import { document as readDocument } from "../programs/run.js";
import { problemAlert } from "./dialog.js";
import { cell, emptyState, label, loading, select, table } from "./parts.js";

/** @typedef {import("../model/activity.js").Entry} Entry */

const HEADINGS = ["Time (UTC)", "Who", "Role", "From", "What", "On", "Outcome"];
const OUTCOMES = { "": "Any outcome", done: "Done", other: "Not done" };
const EVERY = 15_000; // milliseconds: it reads much of the journal

export class Activity {
    /** @param {import("./app.js").App} app */
    constructor(app) {
        this.app = app;
        /** @type {import("../model/activity.js").Filters} */
        this.filters = { since: "today", client: "", instance: "", outcome: "" };
        /** @type {Entry[]} */
        this.entries = [];
        this.readAt = -Infinity;
        this.asks = 0;
        this.note = h("div", { class: "page-small", role: "status" });
        this.none = h("div", {});
        this.table = table("What was done", HEADINGS);
        this.list = h("div", { class: "page-stack" }, this.head(), this.note, this.table.element, this.none);
        this.element = h("section", { class: "page-stack", "aria-label": "Activity" }, loading("Reading the journal"));
    }

    head() {
        return h("div", { class: "page-filters" },
            h("span", { class: "pf-v6-c-form-control page-select" },
                select("since", SINCE, "today", value => this.change("since", value), "Since when")),
            h("span", { class: "pf-v6-c-form-control page-search" },
                h("input", { type: "search", placeholder: "Client", "aria-label": "Only this client: a name, or the beginning of a fingerprint", change: event => this.change("client", event.target.value.trim()) })),
            h("span", { class: "pf-v6-c-form-control page-search" },
                h("input", { type: "search", placeholder: "Instance", "aria-label": "Only this instance", change: event => this.change("instance", event.target.value.trim()) })),
            h("span", { class: "pf-v6-c-form-control page-select" },
                select("outcome", OUTCOMES, "", value => this.change("outcome", value), "Outcome")));
    }

    /**
     * @param {keyof import("../model/activity.js").Filters} name
     * @param {string} value
     */
    change(name, value) {
        this.filters[name] = value;
        if (name === "outcome")
            return this.showRows();
        this.readAt = -Infinity;
        void this.load();
    }

    async load() {
        if (!this.app.raised)
            return show(this.element, "limited", () => emptyState("Activity needs administrative access",
                ["The records are in the system's journal. Switch on administrative access at the top of the console."]));
        if (performance.now() - this.readAt < EVERY)
            return;
        this.readAt = performance.now();
        const question = this.asks += 1;
        try {
            const document = await readDocument(inspect.log(this.filters), { root: true });
            if (question !== this.asks)
                return; // the filters were changed since
            this.entries = parse(document);
            show(this.element, "list", () => this.list);
            this.showRows();
        } catch (error) {
            this.entries = [];
            show(this.element, "list", () => this.list);
            this.showRows();
            replace(this.none, problemAlert(error instanceof Problem ? error : String(error)));
        }
    }

    showRows() {
        const fitting = filtered(this.entries, this.filters.outcome);
        const rows = fitting.slice(0, MOST);
        this.note.textContent = fitting.length > MOST ? `The newest ${MOST} of ${fitting.length} records. Choose a shorter time to see others.` : "";
        this.table.element.hidden = rows.length === 0;
        replace(this.none, rows.length === 0 ? emptyState("Nothing was done", ["No record fits the filters."]) : null);
        let number = 0;
        keyed(this.table.body, rows, row => `${row.time} ${number += 1}`, row => row, row => this.row(row));
    }

    /** @param {Entry} row */
    row(row) {
        return h("tr", { class: "pf-v6-c-table__tr" },
            cell("Time (UTC)", row.time.slice(0, 19).replace("T", " ")), cell("Who", h("span", { class: "page-name" }, row.who || "–")),
            cell("Role", row.role || "–"), cell("From", row.from || "–"), cell("What", row.what), cell("On", row.on || "–"),
            cell("Outcome", label(row.outcome, row.outcome === "done" ? "good" : "warning"), row.reason && h("div", { class: "page-small" }, row.reason)));
    }
}
