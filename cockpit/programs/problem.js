/** What went wrong with a program: the problem, the next step, and a kind that the page knows. Pure. */

/**
 * Kinds of the programs (`multipass --errors=json`, `multipass-trust --format json`), and those of a
 * spawn that did not get that far: `absent` (no such program), `limited` (no administrative access),
 * `gone` (the console's connection ended).
 *
 * @typedef {"absent" | "limited" | "gone" | "unreachable" | "denied" | "unauthenticated" |
 *     "unverified" | "missing" | "damaged" | "lost" | "timeout" | "usage" | "no-journal" | "failed"} Kind
 */

const SPAWN_KINDS = Object.freeze(/** @type {Record<string, Kind>} */ ({
    "not-found": "absent",
    "access-denied": "limited",
    "authentication-failed": "limited",
    "disconnected": "gone",
    "terminated": "gone",
    "timeout": "timeout",
}));

const SENTENCES = Object.freeze(/** @type {Partial<Record<Kind, string>>} */ ({
    absent: "The program is not installed.",
    limited: "This needs administrative access.",
    gone: "The connection to the machine has ended.",
    timeout: "There was no answer in time.",
}));

export class Problem extends Error {
    /**
     * @param {string} problem - what happened and why
     * @param {string} [next] - what to do
     * @param {Kind} [kind]
     */
    constructor(problem, next = "", kind = "failed") {
        super(problem);
        this.name = "Problem";
        this.next = next;
        this.kind = kind;
    }
}

/**
 * What a spawn was rejected with: `problem` is the console's own word, `message` the standard error.
 *
 * @param {{problem?: string | null, message?: string | null, exit_status?: number | null}} failure
 * @returns {Problem}
 */
export function problemOf(failure) {
    const kind = failure.problem ? SPAWN_KINDS[failure.problem] ?? "failed" : undefined;
    if (kind)
        return new Problem(SENTENCES[kind] ?? failure.message ?? "It failed.", "", kind);
    return fromOutput(failure.message ?? "") ??
        new Problem(plain(failure.message ?? "") || `It ended with ${failure.exit_status ?? "an error"}.`);
}

/**
 * The document that the programs write as the last line of standard error.
 *
 * @param {string} text
 * @returns {Problem | null}
 */
export function fromOutput(text) {
    const last = text.trim().split("\n").at(-1) ?? "";
    if (!last.startsWith("{"))
        return null;
    try {
        const { error } = JSON.parse(last);
        return new Problem(String(error.problem), String(error.next ?? ""), error.kind ?? "failed");
    } catch {
        return null;
    }
}

/** @param {string} text */
function plain(text) {
    return text.trim().split("\n").slice(-3).join(" ");
}
