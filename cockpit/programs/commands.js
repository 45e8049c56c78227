/**
 * The programs that the page runs, as argument lists: none is a line for a shell, what people typed
 * stands behind `--`, and secrets never stand in one. Pure.
 */

const MULTIPASS = "/usr/bin/multipass";
const TRUST = "/usr/sbin/multipass-trust";
const SYSTEMCTL = "/usr/bin/systemctl";

export const SERVICE = "multipassd.service";
export const SOCKET = "multipassd.socket";

/**
 * This machine's service, not the remote that the user may have chosen in a terminal; and looking at a page
 * must never make its user the first client.
 */
export const ENVIRONMENT = Object.freeze([
    "MULTIPASS_SERVER_ADDRESS=unix:/run/multipass_socket",
    "MULTIPASS_NEVER_ENROL=1",
]);

/**
 * A command of the user's own client, with the user's own rights.
 *
 * @param {string} command
 * @param {string[]} options
 * @param {string[]} names
 */
function own(command, options = [], names = []) {
    return [MULTIPASS, command, "--errors=json", ...options, ...behind(names)];
}

/**
 * A verb of the administrator's program, for root.
 *
 * @param {string} verb
 * @param {string[]} options
 * @param {string[]} names
 */
function trust(verb, options = [], names = []) {
    return [TRUST, verb, "--format", "json", ...options, ...behind(names)];
}

/** @param {string[]} names */
function behind(names) {
    return names.length ? ["--", ...names] : [];
}

/**
 * @param {string} name
 * @param {string} value - empty to leave the option out
 */
function option(name, value) {
    return value ? [`${name}=${value}`] : [];
}

/** Reads by the user's own client. */
export const read = Object.freeze({
    /** Without what only the guests know, which is quick. */
    instances: () => own("info", ["--format=json", "--no-runtime-information"]),
    usage: () => own("info", ["--format=json"]),
    snapshots: (/** @type {string} */ name) => own("info", ["--format=json", "--snapshots"], [name]),
    clients: () => own("clients", ["--format=json"]),
    images: () => own("find", ["--format=json", "--only-images"]),
    units: () => [SYSTEMCTL, "show", "--property=Id,LoadState,ActiveState,SubState,StatusText", SERVICE, SOCKET],
});

/** Reads that need root. */
export const inspect = Object.freeze({
    clients: () => trust("list"),
    findings: () => trust("check"),
    tcp: () => trust("tcp", [], ["status"]),
    /** @param {import("../model/activity.js").Filters} filters */
    log: filters => trust("log", [
        ...option("--since", filters.since), ...option("--client", filters.client),
        ...option("--instance", filters.instance),
    ]),
});

/** Deeds of the user's own client on instances. */
export const instance = Object.freeze({
    start: (/** @type {string} */ name) => own("start", [], [name]),
    stop: (/** @type {string} */ name) => own("stop", [], [name]),
    restart: (/** @type {string} */ name) => own("restart", [], [name]),
    suspend: (/** @type {string} */ name) => own("suspend", [], [name]),
    delete: (/** @type {string} */ name) => own("delete", [], [name]),
    purge: (/** @type {string} */ name) => own("delete", ["--purge"], [name]),
    recover: (/** @type {string} */ name) => own("recover", [], [name]),
    /**
     * @param {string} name
     * @param {string} snapshot - its name, empty for one that is chosen
     * @param {string} comment
     */
    snapshot: (name, snapshot, comment) =>
        own("snapshot", [...option("--name", snapshot), ...option("--comment", comment)], [name]),
    restore: (/** @type {string} */ name, /** @type {string} */ snapshot) =>
        own("restore", ["--destructive"], [`${name}.${snapshot}`]),
    dropSnapshot: (/** @type {string} */ name, /** @type {string} */ snapshot) =>
        own("delete", ["--purge"], [`${name}.${snapshot}`]),
    /** @param {import("../model/launch.js").Wish} wish */
    launch: wish => own("launch", [
        "--format=json", ...option("--name", wish.name), ...option("--cpus", wish.cpus),
        ...option("--memory", wish.memory), ...option("--disk", wish.disk),
        ...(wish.cloudInit ? ["--cloud-init=-"] : []),
    ], [wish.image]),
    /** For a terminal: errors are for the person there. */
    shell: (/** @type {string} */ name) => [MULTIPASS, "shell", "--", name],
});

/** Deeds of the user's own client on trust. */
export const admit = Object.freeze({
    /** The secret, a passphrase or an invitation, comes by standard input. */
    authenticate: () => own("authenticate"),
    invite: (/** @type {string} */ name, /** @type {string} */ role, /** @type {string} */ expires) =>
        own("invite", ["--format=json", ...option("--role", role), ...option("--expires", expires)], [name]),
    grant: (/** @type {string} */ who, /** @type {string} */ role) => own("grant", [], [who, role]),
    revoke: (/** @type {string} */ who) => own("revoke", [], [who]),
    /** The passphrase comes by standard input. */
    setPassphrase: () => own("set", [], ["local.passphrase"]),
    clearPassphrase: () => own("set", [], ["local.passphrase="]),
});

/** Deeds that need root. */
export const administer = Object.freeze({
    add: (/** @type {string} */ user) => trust("add", ["--user", user]),
    invite: (/** @type {string} */ name, /** @type {string} */ role, /** @type {string} */ expires) =>
        trust("invite", [...option("--role", role), ...option("--expires", expires)], [name]),
    grant: (/** @type {string} */ who, /** @type {string} */ role) => trust("grant", [], [who, role]),
    remove: (/** @type {string} */ who) => trust("remove", [], [who]),
    tcpEnable: (/** @type {string} */ user, /** @type {string} */ address) =>
        trust("tcp", ["--user", user, ...option("--address", address)], ["enable"]),
    tcpDisable: () => trust("tcp", [], ["disable"]),
    start: () => [SYSTEMCTL, "start", SOCKET],
    stop: () => [SYSTEMCTL, "stop", SOCKET, SERVICE],
    /**
     * The command of a finding of `check`, by its program's path; null for one that the page does
     * not know.
     *
     * @param {string[]} command
     * @returns {string[] | null}
     */
    repair: command => {
        const [program, ...words] = command;
        if (program === "multipass-trust" && (words[0] === "check" || words[0] === "add"))
            return [TRUST, ...words, "--format", "json"];
        if (program === "systemctl" && words[0] === "start" && words[1] === SOCKET)
            return [SYSTEMCTL, ...words];
        if (program === "chmod" && words.length === 2 && (words[1] ?? "").startsWith("/"))
            return ["/usr/bin/chmod", ...words];
        return null;
    },
});
