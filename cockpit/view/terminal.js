/** A terminal in an instance: xterm.js, as in the console's own terminals, around `multipass shell`. */

import { h } from "../lib/dom.js";
import { ENVIRONMENT, instance } from "../programs/commands.js";
import { problemOf } from "../programs/problem.js";
import { open, problemAlert } from "./dialog.js";
import { button } from "./parts.js";

const PLACE = "vendor/xterm"; // links to Debian's libjs-xterm
const SCRIPTS = ["xterm.js", "xterm-addon-fit.js", "xterm-addon-canvas.js"];

/** @type {Promise<void> | null} */
let loaded = null;

/** Load xterm.js with the first terminal, as most visits need none. */
function load() {
    loaded ??= (async () => {
        document.head.append(h("link", { rel: "stylesheet", href: `${PLACE}/xterm.css` }));
        for (const script of SCRIPTS)
            await loadScript(`${PLACE}/${script}`);
    })();
    return loaded;
}

/**
 * @param {string} src
 * @returns {Promise<void>}
 */
function loadScript(src) {
    return new Promise((resolve, reject) => {
        document.head.append(h("script", {
            src, load: () => resolve(), error: () => reject(new Error(`${src} is missing: install libjs-xterm.`)),
        }));
    });
}

/** @param {string} name */
export async function openTerminal(name) {
    const place = h("div", { class: "page-terminal" });
    const ended = h("div", { role: "status" });
    /** @type {(() => void)[]} */
    const cleanups = [];
    const dialog = open(`Terminal in ${name}`, [place, ended],
        [button("Close", () => dialog.close(), { kind: "primary" })],
        { wide: true, closed: () => cleanups.forEach(each => each()) });
    // Escape is for the programs in the instance.
    dialog.element.addEventListener("cancel", event => event.preventDefault());
    try {
        await load();
        connect(name, place, ended, cleanups);
    } catch (error) {
        ended.append(problemAlert(error));
    }
}

/**
 * @param {string} name
 * @param {HTMLElement} place
 * @param {HTMLElement} ended
 * @param {(() => void)[]} cleanups
 */
function connect(name, place, ended, cleanups) {
    const terminal = new Terminal({ screenReaderMode: true, fontFamily: "monospace", fontSize: 14, scrollback: 5000 });
    const fit = new FitAddon.FitAddon();
    terminal.loadAddon(fit);
    terminal.open(place);
    terminal.loadAddon(new CanvasAddon.CanvasAddon());
    fit.fit();
    const channel = cockpit.channel({
        payload: "stream", spawn: instance.shell(name), pty: true, environ: [...ENVIRONMENT, "TERM=xterm-256color"],
        window: { rows: terminal.rows, cols: terminal.cols },
    });
    channel.addEventListener("message", (_event, data) => terminal.write(data));
    channel.addEventListener("close", (_event, options) => {
        const failed = options.problem || options.exit_status;
        ended.append(options.problem ? problemAlert(problemOf(options)) : `The session has ended${failed ? ` with ${failed}` : ""}.`);
    });
    terminal.onData(data => channel.send(data));
    terminal.onResize(({ rows, cols }) => channel.control({ window: { rows, cols } }));
    const watch = new ResizeObserver(() => fit.fit());
    watch.observe(place);
    cleanups.push(() => watch.disconnect(), () => channel.close(), () => dispose(terminal));
    terminal.focus();
}

/**
 * The canvas of xterm.js 5.3 fails when it is disposed of with its terminal, after all else is done.
 *
 * @param {Terminal} terminal
 */
function dispose(terminal) {
    try {
        terminal.dispose();
    } catch {
        // There is nothing left that would have to be given back.
    }
}
