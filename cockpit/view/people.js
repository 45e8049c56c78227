/** The dialogs about a person: invite, change a role, revoke. */

import { h } from "../lib/dom.js";
import { minute } from "../lib/format.js";
import { ROLES, ROLE_TEXTS, endings, handle, isLastAdmin, nameProblem } from "../model/clients.js";
import { administer, admit } from "../programs/commands.js";
import { Problem } from "../programs/problem.js";
import { run } from "../programs/run.js";
import { ask, open } from "./dialog.js";
import { alert, button, copyable, field, select, tell } from "./parts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("../model/clients.js").Client} Client */

const TIMES = { "1h": "1 hour", "12h": "12 hours", "1d": "1 day", "7d": "7 days" };
const ROLE_CHOICES = Object.fromEntries(ROLES.map(role => [role, `${role}: ${ROLE_TEXTS[role]}`]));

const NOT_ALLOWED = ["unauthenticated", "denied", "unreachable", "damaged"];

/**
 * By the user's own client if that may, as far as is known; else by root's program, also where the
 * client has lost its trust since the page was read.
 *
 * @param {App} app
 * @param {boolean} own
 * @param {string[]} words
 * @param {string[]} rootWords
 * @returns {Promise<string>}
 */
async function ownOrRoot(app, own, words, rootWords) {
    if (!app.raised)
        return run(words);
    if (own) {
        try {
            return await run(words);
        } catch (error) {
            if (!(error instanceof Problem && NOT_ALLOWED.includes(error.kind)))
                throw error;
        }
    }
    return run(rootWords, { root: true });
}

/**
 * @typedef {object} Invitation
 * @property {string} name
 * @property {string} role
 * @property {number} expires - seconds since 1970
 * @property {string} command
 * @property {string | null} remote_command
 * @property {string} note
 */

/**
 * @param {App} app
 * @param {string} role - that the service wants; empty for any
 * @param {boolean} own - by the user's own client, which also knows how other machines join
 */
export function openInvite(app, role, own) {
    const name = /** @type {HTMLInputElement} */ (h("input", { id: "invite-name", autocomplete: "off", required: true }));
    const roles = /** @type {HTMLSelectElement} */ (select("invite-role", role ? { [role]: role } : { "": "As the person's other clients, else viewer", ...ROLE_CHOICES }, role));
    const time = /** @type {HTMLSelectElement} */ (select("invite-expires", TIMES, "1h"));
    ask({
        title: "Invite a person",
        children: [
            h("p", {}, "An invitation is a line that lets one client in, once."),
            field("Name", name, "Whose client it is. Instances belong to names."), field("Role", roles), field("Good for", time),
        ],
        button: "Invite",
        deed: async dialog => {
            if (!tell(dialog.element, { "invite-name": nameProblem(name.value.trim()) }))
                return false;
            const words = [name.value.trim(), roles.value, time.value];
            const [who, as, how] = /** @type {[string, string, string]} */ (words);
            showLine(/** @type {Invitation} */ (JSON.parse(
                await ownOrRoot(app, own, admit.invite(who, as, how), administer.invite(who, as, how)))));
            app.changed();
            return true;
        },
    });
}

/** @param {Invitation} made */
function showLine(made) {
    const until = minute(new Date(made.expires * 1000).toISOString());
    const dialog = open(`Invitation of ${made.name}`, [
        h("div", { class: "page-stack" },
            alert("warning", "This line is shown only now", ["Any person who has it can use it. Pass it on by a way that only that person reads."]),
            h("p", {}, `Good once, until ${until} UTC, as ${made.role}. On this machine the person types:`),
            copyable(made.command, "command for this machine"),
            made.remote_command ? h("p", {}, "On another machine:") : null,
            made.remote_command ? copyable(made.remote_command, "command for other machines") : null,
            made.note ? h("p", { class: "page-small" }, made.note) : null),
    ], [button("Close", () => dialog.close(), { kind: "primary" })]);
}

/**
 * @param {App} app
 * @param {Client} client
 * @param {boolean} own - by the user's own client
 */
export function openGrant(app, client, own) {
    const roles = /** @type {HTMLSelectElement} */ (select("grant-role", ROLE_CHOICES, client.role));
    ask({
        title: `Change the role of ${handle(client)}`,
        children: [h("p", {}, "It counts at once, for all clients of that name."), field("Role", roles)],
        button: "Change role",
        deed: async () => {
            await ownOrRoot(app, own, admit.grant(handle(client), roles.value), administer.grant(handle(client), roles.value));
            app.changed();
        },
    });
}

/**
 * @param {App} app
 * @param {import("../model/clients.js").Trust} trust
 * @param {string} name
 * @param {string[]} instances - of that person
 * @param {boolean} own
 */
export function openRevoke(app, trust, name, instances, own) {
    const sentences = endings(trust, name, instances);
    // Where no admin is left the user's own client would be refused.
    const mayOwn = own && !(app.raised && isLastAdmin(trust, name));
    ask({
        title: `Revoke ${name}?`,
        children: [
            h("p", {}, "This ends:"),
            h("ul", { class: "page-list" }, sentences.map(sentence => h("li", {}, sentence))),
        ],
        button: "Revoke",
        danger: true,
        deed: async () => {
            await ownOrRoot(app, mayOwn, admit.revoke(name), administer.remove(name));
            app.changed();
        },
    });
}
