/** Who is trusted and who is invited: invite, change a role, revoke; passphrase and TCP. */

import { h, keyed, replace, show } from "../lib/dom.js";
import { count, minute, relative } from "../lib/format.js";
import { age, filtered, fromOwnClient, fromTrust, handle, quotas, quotaText } from "../model/clients.js";
import { administer, inspect, read } from "../programs/commands.js";
import { Problem } from "../programs/problem.js";
import { document as readDocument } from "../programs/run.js";
import { problemAlert } from "./dialog.js";
import { openGrant, openInvite, openRevoke } from "./people.js";
import { alert, button, cell, emptyState, label, loading, table } from "./parts.js";
import { Passphrase } from "./passphrase.js";
import { Tcp } from "./tcp.js";

/** @typedef {import("../model/clients.js").Client} Client */

const HEADINGS = ["Name", "Role", "How", "Last seen", "Expires", "Quota in use", "(Actions)"];
/** @type {Readonly<Record<string, string>>} */
const ROLE_TONES = Object.freeze({ admin: "info", user: "good", viewer: "quiet" });

export class Trust {
    /**
     * @param {import("./app.js").App} app
     * @param {import("./instances.js").Instances} instances
     */
    constructor(app, instances) {
        this.app = app;
        this.instances = instances;
        /** @type {import("../model/clients.js").Trust | null} */
        this.trust = null;
        /** May the user's own client change trust, as an admin's? */
        this.own = false;
        this.element = h("section", { class: "page-stack", "aria-label": "Trust" }, loading("Reading who is trusted"));
        this.table = table("Trusted clients and invitations", HEADINGS);
        this.notes = h("div", { class: "page-stack" });
        this.words = "";
        this.counted = h("span", { class: "page-small", role: "status" });
        this.head = h("div", { class: "page-filters" },
            h("span", { class: "pf-v6-c-form-control page-search" },
                h("input", { type: "search", placeholder: "Filter by name, role, certificate", "aria-label": "Filter the clients",
                    input: event => { this.words = event.target.value; this.showRows(); } })),
            this.counted, h("span", { class: "page-push" }),
            button("Invite a person", () => openInvite(app, this.trust?.state === "empty" ? "admin" : "", this.own), { kind: "primary", key: "invite" }));
        this.passphrase = new Passphrase(app);
        this.tcp = new Tcp(app);
        this.list = h("div", { class: "page-stack" }, this.head, this.notes, this.table.element,
            this.passphrase.element, this.tcp.element);
        this.shown = "";
    }

    async load() {
        const [own, root] = await Promise.allSettled([
            readDocument(read.clients()),
            this.app.raised ? readDocument(inspect.clients(), { root: true }) : Promise.reject(new Problem("", "", "limited")),
        ]);
        this.own = own.status === "fulfilled";
        if (root.status === "fulfilled") {
            this.trust = fromTrust(root.value);
            if (own.status === "fulfilled")
                this.trust.quotas = quotas(own.value);
        } else if (own.status === "fulfilled") {
            this.trust = fromOwnClient(own.value);
        } else {
            this.trust = null;
            this.showProblem(this.app.raised ? root.reason : own.reason);
            return;
        }
        this.show(this.trust);
        await Promise.all([this.passphrase.load(this.own, this.trust.passphrase), this.tcp.load()]);
    }

    /** @param {Problem} problem */
    showProblem(problem) {
        const limited = !this.app.raised && problem.kind === "denied";
        show(this.element, [problem.message, limited], () => limited
            ? emptyState("Trust is for admins", ["Your client may not see who is trusted. With administrative access this page shows it."])
            : problemAlert(problem, problem.kind === "damaged"
                ? [button("Show findings", () => cockpit.location.go(["findings"]), { kind: "link" })] : []));
        this.shown = "";
    }

    /** @param {import("../model/clients.js").Trust} trust */
    show(trust) {
        if (this.shown !== "list") {
            this.shown = "list";
            this.element.removeAttribute("data-shown");
            replace(this.element, this.list);
        }
        this.counted.textContent = `${count(trust.clients.length, "client")} trusted, ` +
            `${count(trust.invitations.length, "invitation")} open. Times are UTC.`;
        show(this.notes, [trust.problems, trust.state], () => [
            ...(trust.state === "empty" ? [alert("info", "No client is trusted yet", [
                "Until then only root and the administrators' group can connect."],
            [button(`Let ${this.app.user} in`, () => this.letIn(), { kind: "primary", small: true })])] : []),
            ...trust.problems.map(problem => alert("warning", problem)),
        ]);
        this.showRows();
    }

    showRows() {
        const { trust } = this;
        if (!trust)
            return;
        const rows = filtered([...trust.clients, ...trust.invitations], this.words);
        this.table.element.hidden = rows.length === 0;
        keyed(this.table.body, rows, row => row.fingerprint || `invited ${row.name} ${row.since}`,
            row => [row, quotaText(trust, row.name), this.own, relative(row.lastSeen, Date.now())],
            row => this.row(row, trust));
    }

    /**
     * @param {Client} row
     * @param {import("../model/clients.js").Trust} trust
     */
    row(row, trust) {
        const ends = age(row, Date.now());
        const invited = !row.fingerprint;
        return h("tr", { class: "pf-v6-c-table__tr", "data-client": row.name },
            cell("Name", h("span", { class: "page-name" }, row.name || "–"),
                !invited && h("div", { class: "page-small page-mono", title: row.fingerprint }, row.fingerprint.slice(0, 16))),
            cell("Role", label(row.role, ROLE_TONES[row.role] ?? "quiet")),
            cell("How", invited ? label("invited", "warning") : "", " ", row.how, h("div", { class: "page-small" }, minute(row.since))),
            cell("Last seen", invited ? "–" : h("span", { title: minute(row.lastSeen) }, relative(row.lastSeen, Date.now()))),
            cell("Expires", h("span", { class: "page-name" }, minute(row.expires)), " ", ends && label(ends, ends === "ended" ? "danger" : "warning")),
            cell("Quota in use", h("span", { class: "page-small" }, quotaText(trust, row.name) || "–")),
            cell("", h("div", { class: "page-actions" },
                !invited && button("Change role", () => openGrant(this.app, row, this.own), { small: true, key: `grant ${row.fingerprint}`, label: `Change role of ${handle(row)}` }),
                button(invited ? "Take back" : "Revoke", () => void this.revoke(row, trust),
                    { small: true, kind: "danger", key: `revoke ${row.fingerprint}${row.since}`, label: `${invited ? "Take the invitation back of" : "Revoke"} ${handle(row)}` }))));
    }

    /**
     * @param {Client} row
     * @param {import("../model/clients.js").Trust} trust
     */
    async revoke(row, trust) {
        await this.instances.load(); // the question names the person's instances
        openRevoke(this.app, trust, handle(row), this.instances.namesOf(row.name), this.own);
    }

    letIn() {
        void this.app.act(administer.add(this.app.user), { root: true });
    }
}
