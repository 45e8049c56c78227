/** Which state the whole page is in, from what the programs answered. Pure. */

/** @typedef {import("../programs/problem.js").Problem} Problem */

/**
 * What stands in the place of the instances; `none` where they are shown.
 *
 * @typedef {"none" | "absent" | "down" | "untrusted" | "closed" | "damaged" | "failed"} Obstacle
 */

/**
 * @param {Problem | null} problem - of the last question to the service
 * @returns {Obstacle}
 */
export function obstacle(problem) {
    switch (problem?.kind) {
    case undefined:
        return "none";
    case "absent":
        return "absent";
    case "unreachable":
        return "down";
    case "unauthenticated":
        return "untrusted";
    case "denied":
        return "closed";
    case "damaged":
        return "damaged";
    default:
        return "failed";
    }
}

/**
 * @typedef {object} Explanation
 * @property {string} title
 * @property {string} text - for a person with administrative access
 * @property {string} limited - for a person without
 */

/** @type {Readonly<Record<Obstacle, Explanation>>} */
export const EXPLANATIONS = Object.freeze({
    none: { title: "", text: "", limited: "" },
    absent: {
        title: "Multipass is not installed",
        text: "Install the package multipass on this machine, then open this page again.",
        limited: "Ask an administrator to install the package multipass on this machine.",
    },
    down: {
        title: "The service does not run",
        text: "Start it to see and use instances. Instances that run go on without it.",
        limited: "An administrator can start it. Instances that run go on without it.",
    },
    untrusted: {
        title: "The service does not trust you yet",
        text: "Let yourself in with your administrative access, or enter a passphrase or an invitation.",
        limited: "Enter the passphrase or the invitation that an administrator gave you.",
    },
    closed: {
        title: "The service is closed to you",
        text: "No client is trusted yet, so only root and the administrators' group can connect. Let yourself in to begin.",
        limited: "No client is trusted yet, so only root and the administrators' group can connect. Ask an administrator to begin.",
    },
    damaged: {
        title: "The list of trusted clients is damaged",
        text: "The service lets no client in until it is repaired. Findings say what to do.",
        limited: "The service lets no client in until an administrator has repaired it.",
    },
    failed: {
        title: "The service gave no answer that can be shown",
        text: "It is asked again by itself.",
        limited: "It is asked again by itself.",
    },
});
