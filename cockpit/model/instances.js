/** Instances as the page shows them, and what can be done to each. Pure. */

/**
 * @typedef {object} Instance
 * @property {string} name
 * @property {string} state
 * @property {string[]} addresses
 * @property {string} image
 * @property {string} owner
 * @property {string} location - its host in a cluster; empty where there is only one
 * @property {Share | null} cpus - how many there are, and how many of them are busy by the load
 * @property {Share | null} memory
 * @property {Share | null} disk
 * @property {number} snapshots
 */

/** @typedef {{used: number, total: number}} Share of bytes or of CPUs; used is 0 where it is not known */
/** @typedef {"start" | "stop" | "restart" | "suspend" | "delete" | "recover" | "purge" | "snapshot" | "restore" | "shell"} Deed */
/** @typedef {"good" | "info" | "quiet" | "warning" | "danger"} Tone */

/**
 * @typedef {object} Snapshot
 * @property {string} name
 * @property {string} created
 * @property {string} comment
 * @property {string} parent
 * @property {string} size
 */

/** @type {Readonly<Record<string, Tone>>} */
const TONES = Object.freeze({
    Running: "good", Starting: "info", Restarting: "info", Suspending: "info",
    "Delayed Shutdown": "info", Stopped: "quiet", Suspended: "quiet", Deleted: "quiet",
    Unknown: "warning",
});

/** @type {Readonly<Record<string, readonly Deed[]>>} */
const DEEDS = Object.freeze({
    Running: ["shell", "stop", "restart", "suspend", "delete"],
    Starting: ["stop", "delete"],
    Restarting: ["stop", "delete"],
    "Delayed Shutdown": ["stop", "delete"],
    Suspending: [],
    Stopped: ["start", "snapshot", "delete"],
    Suspended: ["start", "delete"],
    Deleted: ["recover", "purge"],
    Unknown: ["stop", "delete"],
});

const PASSING = Object.freeze(["Starting", "Restarting", "Suspending", "Delayed Shutdown"]);

/**
 * The document of `multipass info`.
 *
 * @param {{info: Record<string, any>}} answer
 * @returns {Instance[]}
 */
export function parse(answer) {
    return Object.entries(answer.info ?? {}).map(([name, about]) => ({
        name,
        state: String(about.state ?? "Unknown"),
        addresses: (about.ipv4 ?? []).map(String),
        image: String(about.image_release || about.release || ""),
        owner: String(about.owner ?? ""),
        location: String(about.location ?? ""),
        cpus: share({ used: (about.load ?? [])[0], total: about.cpu_count }),
        memory: share(about.memory),
        disk: share(Object.values(about.disks ?? {})[0]),
        snapshots: Number(about.snapshot_count ?? 0),
    })).sort((a, b) => compare(a.name, b.name));
}

/**
 * @param {string} a
 * @param {string} b
 */
function compare(a, b) {
    return a < b ? -1 : Number(a > b);
}

/**
 * @param {unknown} about
 * @returns {Share | null}
 */
function share(about) {
    const { used, total } = /** @type {{used?: unknown, total?: unknown}} */ (about ?? {});
    const all = Number(total);
    return all > 0 ? { used: Number(used ?? 0) || 0, total: all } : null;
}

/**
 * What was read quickly, with what only the longer question tells (CPUs, memory, disk) from the
 * last time that it was asked, as long as the instance is in the state that it had then.
 *
 * @param {Instance[]} quick
 * @param {Instance[]} whole
 * @returns {Instance[]}
 */
export function completed(quick, whole) {
    const known = new Map(whole.map(each => [each.name, each]));
    return quick.map(each => {
        const more = known.get(each.name);
        if (!more || more.state !== each.state)
            return each;
        return { ...each, cpus: more.cpus, memory: more.memory, disk: more.disk, image: each.image || more.image };
    });
}

/**
 * @param {Instance} instance
 * @returns {Tone}
 */
export function tone(instance) {
    return TONES[instance.state] ?? "warning";
}

/**
 * What can be done to it in its state, the most likely deed first.
 *
 * @param {Instance} instance
 * @returns {readonly Deed[]}
 */
export function deeds(instance) {
    return DEEDS[instance.state] ?? [];
}

/**
 * Will its state change by itself soon?
 *
 * @param {Instance} instance
 */
export function isPassing(instance) {
    return PASSING.includes(instance.state);
}

/**
 * @param {Instance[]} instances
 * @param {string} words - each must be somewhere in it
 * @param {string} state - empty for any
 */
export function filtered(instances, words, state) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    return instances.filter(each => {
        if (state && each.state !== state)
            return false;
        const text = [each.name, each.owner, each.location, each.image, each.state, ...each.addresses].join(" ").toLowerCase();
        return wanted.every(word => text.includes(word));
    });
}

/**
 * The document of `multipass info --snapshots` for one instance.
 *
 * @param {{info: Record<string, any>}} answer
 * @param {string} name
 * @returns {Snapshot[]}
 */
export function parseSnapshots(answer, name) {
    const found = answer.info?.[name]?.snapshots ?? {};
    return Object.entries(found).map(([snapshot, about]) => ({
        name: snapshot,
        created: String(about.created ?? ""),
        comment: String(about.comment ?? ""),
        parent: String(about.parent ?? ""),
        size: String(about.size ?? ""),
    }));
}

/**
 * How a deed on an instance is confirmed: what ends by it; null where nothing does.
 *
 * @param {Deed} deed
 * @param {Instance} instance
 * @returns {{title: string, text: string, button: string} | null}
 */
export function confirmation(deed, instance) {
    const { name, snapshots } = instance;
    switch (deed) {
    case "stop":
        return { title: `Stop ${name}?`, text: "Programs in it end, as do shells and commands that people have open there.", button: "Stop" };
    case "restart":
        return { title: `Restart ${name}?`, text: "Programs in it end, as do shells and commands that people have open there.", button: "Restart" };
    case "delete":
        return { title: `Delete ${name}?`, text: "It is stopped, and can be recovered until it is purged.", button: "Delete" };
    case "purge":
        return {
            title: `Remove ${name} permanently?`,
            text: `Its disk is removed${snapshots ? ` with its snapshots (${snapshots})` : ""}. Nothing can bring that back.`,
            button: "Remove permanently",
        };
    default:
        return null;
    }
}
