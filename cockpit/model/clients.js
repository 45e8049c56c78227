/** Who is trusted and who is invited, as the page shows them, and what a revocation ends. Pure. */

/**
 * @typedef {object} Client
 * @property {string} name
 * @property {string} fingerprint - empty for an invitation
 * @property {string} role
 * @property {string} how
 * @property {string | null} since - ISO 8601, as are the next two
 * @property {string | null} lastSeen
 * @property {string | null} expires
 */

/**
 * @typedef {object} Quota
 * @property {string} kind
 * @property {string} used
 * @property {string} limit
 */

/**
 * @typedef {object} Trust
 * @property {"empty" | "trusting"} state
 * @property {Client[]} clients
 * @property {Client[]} invitations
 * @property {boolean | null} passphrase - is it set; null where that is not known
 * @property {string[]} problems
 * @property {Record<string, Quota[]>} quotas - by the person's name
 */

const SOON = 30 * 86400 * 1000; // milliseconds before its end in which a certificate is renewed
export const ROLES = Object.freeze(["viewer", "user", "admin"]);
export const ROLE_TEXTS = Object.freeze(/** @type {Record<string, string>} */ ({
    viewer: "sees instances, changes nothing",
    user: "has instances of its own, within a quota",
    admin: "may do everything",
}));

/**
 * The document of `multipass-trust list`.
 *
 * @param {any} answer
 * @returns {Trust}
 */
export function fromTrust(answer) {
    return {
        state: answer.state === "empty" ? "empty" : "trusting",
        clients: (answer.clients ?? []).map(client),
        invitations: (answer.invitations ?? []).map((/** @type {any} */ each) => ({
            name: text(each.name), fingerprint: "", role: text(each.role),
            how: `invited by ${text(each.invited_by)}`,
            since: each.made ?? null, lastSeen: null, expires: each.expires ?? null,
        })),
        passphrase: answer.passphrase ?? null,
        problems: (answer.problems ?? []).map(text),
        quotas: {},
    };
}

/**
 * @param {any} each
 * @returns {Client}
 */
function client(each) {
    return {
        name: text(each.name), fingerprint: text(each.fingerprint), role: text(each.role),
        how: text(each.how), since: each.enrolled ?? null, lastSeen: each.last_seen ?? null,
        expires: each.expires ?? null,
    };
}

/**
 * The document of `multipass clients`, which an admin's own client may ask for.
 *
 * @param {any} answer
 * @returns {Trust}
 */
export function fromOwnClient(answer) {
    const all = (answer.clients ?? []).map((/** @type {any} */ each) => ({
        name: text(each.name), fingerprint: text(each.certificate), role: text(each.role),
        how: text(each.how), since: each.since || null, lastSeen: each.last_seen || null,
        expires: each.expires || null,
    }));
    return {
        state: "trusting",
        clients: all.filter((/** @type {Client} */ each) => each.fingerprint),
        invitations: all.filter((/** @type {Client} */ each) => !each.fingerprint),
        passphrase: null,
        problems: [],
        quotas: quotas(answer),
    };
}

/**
 * @param {any} answer
 * @returns {Record<string, Quota[]>}
 */
export function quotas(answer) {
    const found = /** @type {Record<string, Quota[]>} */ ({});
    for (const [name, shares] of Object.entries(answer.quotas ?? {})) {
        found[name] = Object.entries(/** @type {Record<string, any>} */ (shares)).map(
            ([kind, share]) => ({ kind, used: text(share.used), limit: text(share.limit) }));
    }
    return found;
}

/** @param {unknown} value */
function text(value) {
    return value === null || value === undefined ? "" : String(value);
}

/**
 * Whether a certificate has ended or does so soon.
 *
 * @param {Client} client
 * @param {number} now - milliseconds since 1970
 * @returns {"ended" | "soon" | ""}
 */
export function age({ expires, fingerprint }, now) {
    const end = Date.parse(expires ?? "");
    if (!fingerprint || Number.isNaN(end))
        return "";
    if (end < now)
        return "ended";
    return end < now + SOON ? "soon" : "";
}

/**
 * What a person has of what is allowed, in one line; without what is not allowed at all.
 *
 * @param {Trust} trust
 * @param {string} name
 */
export function quotaText(trust, name) {
    return (trust.quotas[name] ?? [])
        .filter(each => each.limit !== "0")
        .map(each => `${each.kind} ${each.used} of ${each.limit}`).join(", ");
}

/**
 * Those in which each of the words stands somewhere, by name.
 *
 * @param {Client[]} clients
 * @param {string} words
 */
export function filtered(clients, words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    return clients
        .filter(({ name, role, how, fingerprint }) => {
            const all = `${name} ${role} ${how} ${fingerprint}`.toLowerCase();
            return wanted.every(word => all.includes(word));
        })
        .sort((a, b) => a.name < b.name ? -1 : Number(a.name > b.name));
}

/**
 * By which a client is named to the programs: those that were added by hand may have no name.
 *
 * @param {Client} client
 */
export function handle({ name, fingerprint }) {
    return name || fingerprint;
}

/**
 * What ends when a person's clients are trusted no longer, as sentences.
 *
 * @param {Trust} trust
 * @param {string} name - or the fingerprint of a client without a name
 * @param {string[]} instances - of that person
 * @returns {string[]}
 */
export function endings(trust, name, instances) {
    const clients = trust.clients.filter(each => handle(each) === name);
    const invitations = trust.invitations.filter(each => each.name === name);
    const sentences = [];
    if (clients.length) {
        sentences.push(`${clients.length === 1 ? "1 client" : `${clients.length} clients`} of ${name} ` +
            "can't connect any more, at once: " +
            `${clients.map(each => `${each.fingerprint.slice(0, 16)} (${each.role})`).join(", ")}.`);
        sentences.push("Shells and commands that they have open in instances end, and SSH keys that they were given are replaced.");
    }
    if (invitations.length)
        sentences.push(`${invitations.length === 1 ? "1 invitation is" : `${invitations.length} invitations are`} taken back.`);
    if (instances.length)
        sentences.push(`These instances stay, and only admins can use them: ${some(instances)}.`);
    if (clients.length && isLastAdmin(trust, name))
        sentences.push("Afterwards no admin is trusted.");
    return sentences;
}

/** @param {string[]} names */
function some(names) {
    const shown = names.slice(0, 10).join(", ");
    return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}

/**
 * @param {Trust} trust
 * @param {string} name
 */
export function isLastAdmin(trust, name) {
    const admins = trust.clients.filter(each => each.role === "admin");
    return admins.length > 0 && admins.every(each => handle(each) === name);
}

/**
 * Why a name can't be a client's; empty if it can.
 *
 * @param {string} name
 */
export function nameProblem(name) {
    if (/^[a-z][a-z0-9._-]{0,31}$/.test(name))
        return "";
    return "1 to 32 lower-case letters, digits, dots, underscores and hyphens, a letter first.";
}
