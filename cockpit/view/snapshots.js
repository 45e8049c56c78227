/** The snapshots of one instance, in its details: taken, restored, removed. */

import { h, show } from "../lib/dom.js";
import { parseSnapshots } from "../model/instances.js";
import { instance as commands, read } from "../programs/commands.js";
import { document as readDocument, run } from "../programs/run.js";
import { ask, problemAlert } from "./dialog.js";
import { button, cell, field, table } from "./parts.js";

/** @typedef {import("../model/instances.js").Snapshot} Snapshot */

export class SnapshotPanel {
    /**
     * @param {import("./app.js").App} app
     * @param {string} name - the instance's
     */
    constructor(app, name) {
        this.app = app;
        this.name = name;
        this.element = h("div", { class: "page-stack" });
    }

    /** @param {import("../model/instances.js").Instance} row */
    async load(row) {
        if (!row.snapshots)
            return show(this.element, "none", () => h("p", { class: "page-small" }, "It has no snapshots. They are taken while it is stopped."));
        try {
            const found = parseSnapshots(/** @type {any} */ (await readDocument(read.snapshots(this.name))), this.name);
            const stopped = row.state === "Stopped";
            show(this.element, [found, stopped], () => this.table(found, stopped));
        } catch (error) {
            show(this.element, String(error), () => problemAlert(error));
        }
    }

    /**
     * @param {Snapshot[]} found
     * @param {boolean} stopped
     */
    table(found, stopped) {
        const { element, body } = table(`Snapshots of ${this.name}`, ["Snapshot", "Created", "Size", "Parent", "Comment", "(Actions)"]);
        body.append(...found.map(each => h("tr", { class: "pf-v6-c-table__tr" },
            cell("Snapshot", each.name), cell("Created", each.created || "–"), cell("Size", each.size || "–"),
            cell("Parent", each.parent || "–"), cell("Comment", each.comment || "–"),
            cell("", h("div", { class: "page-actions" },
                button("Restore", () => this.restore(each), { small: true, disabled: !stopped, label: `Restore ${this.name} to ${each.name}` }),
                button("Remove", () => this.remove(each), { small: true, kind: "danger", label: `Remove the snapshot ${each.name}` }))))));
        return element;
    }

    take() {
        const name = /** @type {HTMLInputElement} */ (h("input", { id: "snapshot-name", autocomplete: "off" }));
        const comment = /** @type {HTMLInputElement} */ (h("input", { id: "snapshot-comment", autocomplete: "off" }));
        ask({
            title: `Take a snapshot of ${this.name}`,
            children: [field("Name", name, "Left empty, one is chosen."), field("Comment", comment)],
            button: "Take a snapshot",
            deed: () => this.run(commands.snapshot(this.name, name.value.trim(), comment.value.trim())),
        });
    }

    /** @param {Snapshot} snapshot */
    restore(snapshot) {
        ask({
            title: `Restore ${this.name} to ${snapshot.name}?`,
            children: [h("p", {}, "What has changed on its disk since then is lost. Take a snapshot first to keep it.")],
            button: "Restore",
            danger: true,
            deed: () => this.run(commands.restore(this.name, snapshot.name)),
        });
    }

    /** @param {Snapshot} snapshot */
    remove(snapshot) {
        ask({
            title: `Remove the snapshot ${snapshot.name}?`,
            children: [h("p", {}, `${this.name} stays as it is. Nothing can bring the snapshot back.`)],
            button: "Remove",
            danger: true,
            deed: () => this.run(commands.dropSnapshot(this.name, snapshot.name)),
        });
    }

    /** @param {string[]} words */
    async run(words) {
        await run(words);
        this.element.removeAttribute("data-shown");
        this.app.changed();
    }
}
