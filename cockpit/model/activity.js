/** The records of what was done, as the page shows them. Pure. */

/**
 * @typedef {object} Filters
 * @property {string} since - as `multipass-trust log --since` takes it
 * @property {string} client
 * @property {string} instance
 * @property {string} outcome - filtered here, as the program has no such option
 */

/**
 * @typedef {object} Entry
 * @property {string} time
 * @property {string} who
 * @property {string} role
 * @property {string} from
 * @property {string} what
 * @property {string} on
 * @property {string} outcome
 * @property {string} reason
 */

export const MOST = 500; // rows that are shown, the newest ones
export const SINCE = Object.freeze({ "1h": "last hour", today: "today", "7d": "last 7 days", "30d": "last 30 days" });

/**
 * @param {any} answer
 * @returns {Entry[]} the newest first
 */
export function parse(answer) {
    return (answer.records ?? []).map(entry).reverse();
}

/**
 * @param {Record<string, any>} record - a text for each, empty where it is not known
 * @returns {Entry}
 */
function entry(record) {
    const { uid, pid, snapshot, status, reason } = record;
    const instances = record["instances"].join(", ");
    const user = record["user"] || (uid && `uid ${uid}`);
    return {
        time: record["time"],
        who: record["name"] || record["client"].slice(0, 16) || user,
        role: record["role"],
        from: record["address"] || (pid ? `${user}, pid ${pid}` : user),
        what: record["what"],
        on: (snapshot ? `${instances}.${snapshot}` : instances) || record["setting"] || record["about"],
        outcome: record["outcome"],
        reason: [status, reason].filter(Boolean).join(": "),
    };
}

/**
 * @param {Entry[]} entries
 * @param {string} outcome - empty for any
 */
export function filtered(entries, outcome) {
    return outcome ? entries.filter(each => (outcome === "done") === (each.outcome === "done")) : entries;
}
