/** Runs a program on the machine that the console shows; the one place where the page does so. */

import { ENVIRONMENT } from "./commands.js";
import { Problem, problemOf } from "./problem.js";

/**
 * @typedef {object} How
 * @property {boolean} [root] - with administrative access; refused where that was not given
 * @property {string} [input] - for standard input: where secrets are
 * @property {boolean} [enrols] - the program may enrol its user, who has asked for that
 * @property {(line: string) => void} [line] - gets each line of output as it comes
 */

/**
 * The program's output. Rejects with a Problem.
 *
 * @param {string[]} words
 * @param {How} [how]
 * @returns {Promise<string>}
 */
export function run(words, how = {}) {
    const environ = ENVIRONMENT.filter(each => !(how.enrols && each.startsWith("MULTIPASS_NEVER_ENROL")));
    return new Promise((resolve, reject) => {
        /** @type {CockpitSpawnOptions} */
        const options = { err: "message", environ };
        if (how.root)
            options.superuser = "require";
        const process = cockpit.spawn(words, options);
        let output = "";
        let rest = "";
        process.stream(data => {
            output += data;
            if (how.line)
                rest = lines(rest + data, how.line);
        });
        process.then(
            () => resolve(output),
            failure => reject(Object.assign(problemOf(failure), { output })),
        );
        process.input(how.input ?? "");
    });
}

/**
 * The program's output as a document. `check` ends with 1 when it has found something, so a
 * document that is whole counts more than the exit code.
 *
 * @template T
 * @param {string[]} words
 * @param {How} [how]
 * @returns {Promise<T>}
 */
export async function document(words, how = {}) {
    try {
        return JSON.parse(await run(words, how));
    } catch (error) {
        if (error instanceof SyntaxError)
            throw new Problem("The program's answer could not be read.", error.message);
        const found = parsed(/** @type {{output?: string}} */ (error).output ?? "");
        if (found && "findings" in found)
            return found;
        throw error;
    }
}

/** @param {string} text */
function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return null;
    }
}

/**
 * @param {string} text
 * @param {(line: string) => void} take
 * @returns {string} what has no end yet
 */
function lines(text, take) {
    const found = text.split("\n");
    const rest = found.pop() ?? "";
    found.forEach(take);
    return rest;
}
