/** The state of the service and its socket, and what a person can do about it. Pure. */

import { SERVICE, SOCKET } from "../programs/commands.js";

/**
 * @typedef {object} Unit
 * @property {string} load - LoadState of systemd
 * @property {string} active - ActiveState
 * @property {string} sub - SubState
 * @property {string} status - the service's own line
 */

/** @typedef {{service: Unit, socket: Unit}} Units */

/** @typedef {"good" | "info" | "warning" | "danger"} Tone */

/**
 * @typedef {object} ServiceState
 * @property {string} text
 * @property {Tone} tone
 * @property {string} detail
 * @property {boolean} canStart
 * @property {boolean} canStop
 */

/**
 * The blocks of `systemctl show` for several units.
 *
 * @param {string} text
 * @returns {Units}
 */
export function parseUnits(text) {
    const found = new Map();
    for (const block of text.split("\n\n")) {
        const values = new Map(block.split("\n").map(line => {
            const [name, ...value] = line.split("=");
            return [name, value.join("=")];
        }));
        found.set(values.get("Id"), {
            load: values.get("LoadState") ?? "", active: values.get("ActiveState") ?? "",
            sub: values.get("SubState") ?? "", status: values.get("StatusText") ?? "",
        });
    }
    const none = { load: "not-found", active: "inactive", sub: "", status: "" };
    return { service: found.get(SERVICE) ?? none, socket: found.get(SOCKET) ?? none };
}

/**
 * @param {Units} units
 * @returns {ServiceState}
 */
export function stateOf({ service, socket }) {
    const masked = [service, socket].some(unit => unit.load === "masked");
    const canStart = !masked && socket.active !== "active";
    const canStop = socket.active === "active" || service.active === "active";
    const rest = { canStart, canStop, detail: service.status };
    if (masked)
        return { ...rest, text: "Masked", tone: "danger", detail: "It is masked, so systemd never starts it." };
    if (service.load === "not-found" && socket.load === "not-found")
        return { ...rest, text: "Without units", tone: "warning", canStart: false, detail: "" };
    if (service.active === "failed" || socket.active === "failed")
        return { ...rest, text: "Failed", tone: "danger" };
    if (service.active === "active")
        return { ...rest, text: "Running", tone: "good" };
    if (["activating", "reloading"].includes(service.active))
        return { ...rest, text: "Starting", tone: "info" };
    if (socket.active === "active")
        return { ...rest, text: "Ready", tone: "good", detail: "It starts with the next call." };
    return { ...rest, text: "Stopped", tone: "warning", detail: "No client can connect." };
}
