/** What `multipass-trust check` has found, as alerts. Pure. */

import { administer } from "../programs/commands.js";

/**
 * @typedef {object} Finding
 * @property {"ok" | "note" | "problem"} level
 * @property {string} text
 * @property {string} next - what to do, with the command to type in it
 * @property {string[]} typed - the commands in `next`, to copy
 * @property {string[] | null} command - that the page may run by a button
 */

/**
 * @param {any} answer
 * @returns {Finding[]} problems first, then notes, then what is sound
 */
export function parse(answer) {
    const order = ["problem", "note", "ok"];
    return (answer.findings ?? [])
        .map((/** @type {any} */ each) => ({
            level: order.includes(each.level) ? each.level : "note",
            text: String(each.text ?? ""),
            next: String(each.next ?? ""),
            typed: typed(String(each.next ?? "")),
            command: administer.repair((each.command ?? []).map(String)),
        }))
        .sort((/** @type {Finding} */ a, /** @type {Finding} */ b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/**
 * Commands stand between backquotes in what the program says.
 *
 * @param {string} text
 */
export function typed(text) {
    return [...text.matchAll(/`([^`]+)`/g)].map(found => found[1] ?? "");
}

/** @param {Finding[]} findings */
export function problems(findings) {
    return findings.filter(each => each.level === "problem").length;
}
