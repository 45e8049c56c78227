/** The form for a new instance: images to choose from, what is wrong in it, progress. Pure. */

import { parseSize } from "../lib/format.js";

/**
 * @typedef {object} Wish
 * @property {string} image
 * @property {string} name
 * @property {string} cpus
 * @property {string} memory
 * @property {string} disk
 * @property {string} cloudInit - YAML, given by standard input
 */

/** @typedef {{value: string, label: string}} Image */

const LEAST_MEMORY = 128 * 1024 ** 2, LEAST_DISK = 512 * 1024 ** 2;

/**
 * The document of `multipass find`.
 *
 * @param {any} answer
 * @returns {Image[]}
 */
export function images(answer) {
    return Object.entries(answer.images ?? {}).map(([name, about]) => {
        const { os, release, version } = /** @type {Record<string, string>} */ (about);
        const label = [os, release].filter(Boolean).join(" ");
        return { value: name, label: label ? `${name}: ${label}${version ? ` (${version})` : ""}` : name };
    });
}

/**
 * What is wrong, by the field; without an entry all is well.
 *
 * @param {Wish} wish
 * @returns {Partial<Record<keyof Wish, string>>}
 */
export function mistakes(wish) {
    const found = /** @type {Partial<Record<keyof Wish, string>>} */ ({});
    if (!wish.image.trim())
        found.image = "Choose an image, or type one.";
    else if (wish.image.startsWith("-"))
        found.image = "An image's name does not begin with a hyphen.";
    if (wish.name && !/^[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(wish.name))
        found.name = "Letters, digits and inner hyphens, a letter first.";
    if (wish.cpus && !/^[1-9]\d{0,3}$/.test(wish.cpus))
        found.cpus = "A number from 1 on.";
    if (wish.memory && !(parseSize(wish.memory) >= LEAST_MEMORY))
        found.memory = "A size such as 1G or 512M, at least 128M.";
    if (wish.disk && !(parseSize(wish.disk) >= LEAST_DISK))
        found.disk = "A size such as 5G, at least 512M.";
    return found;
}

/**
 * @typedef {object} Progress
 * @property {string} stage
 * @property {number | null} percent
 * @property {string} launched - the instance's name, once it runs
 */

/**
 * A line of `multipass launch --format json`; null for one that is no answer.
 *
 * @param {string} line
 * @returns {Progress | null}
 */
export function progress(line) {
    try {
        const { stage, percent, launched } = JSON.parse(line);
        return { stage: String(stage ?? ""), percent: percent ?? null, launched: String(launched ?? "") };
    } catch {
        return null;
    }
}
