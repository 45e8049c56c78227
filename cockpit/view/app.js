/** What the parts of the page share: who is at work, with which access, and how deeds are done. */

import { button } from "./parts.js";
import { problemAlert } from "./dialog.js";
import { run } from "../programs/run.js";

const MOST_ALERTS = 3; // of deeds that failed; older ones go

/** @typedef {import("../programs/run.js").How} How */

export class App {
    /** @param {HTMLElement} alerts */
    constructor(alerts) {
        this.alerts = alerts;
        this.user = "";
        /** Has the user administrative access in this session? After a change the console loads the page anew. */
        this.raised = false;
        /** Grows with each deed: what was read before it may not be so any more. */
        this.deeds = 0;
        /** @type {() => Promise<void>} */
        this.refresh = async () => undefined;
        /** @type {() => void} */
        this.recheck = () => undefined;
    }

    /** Something was done: what is shown, and what was found, may not be so any more. */
    changed() {
        this.deeds += 1;
        void this.refresh();
        this.recheck();
    }

    /** Who is at work. */
    async begin() {
        const permission = cockpit.permission({ admin: true });
        const [user] = await Promise.all([cockpit.user(), known(permission)]);
        this.user = user.name;
        this.raised = permission.allowed === true;
        permission.addEventListener("changed", () => {
            this.raised = permission.allowed === true;
            void this.refresh();
        });
    }

    /**
     * Do something, and show what went wrong above the page. Refreshes the page afterwards.
     *
     * @param {string[]} words
     * @param {How} [how]
     * @returns {Promise<boolean>} was it done?
     */
    async act(words, how) {
        try {
            await run(words, how);
            return true;
        } catch (error) {
            this.complain(error);
            return false;
        } finally {
            this.changed();
        }
    }

    /** @param {unknown} error */
    complain(error) {
        const alert = problemAlert(error, [button("Dismiss", () => alert.remove(), { kind: "link", small: true })]);
        this.alerts.prepend(alert);
        while (this.alerts.children.length > MOST_ALERTS)
            this.alerts.lastElementChild?.remove();
    }
}

/**
 * @param {CockpitPermission} permission
 * @returns {Promise<void>}
 */
function known(permission) {
    if (permission.allowed !== null)
        return Promise.resolve();
    return new Promise(resolve => permission.addEventListener("changed", () => resolve()));
}
