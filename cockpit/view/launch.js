/** The form for a new instance, and how far its launch is. */

import { h, replace } from "../lib/dom.js";
import { images, mistakes, progress } from "../model/launch.js";
import { instance, read } from "../programs/commands.js";
import { document as readDocument, run } from "../programs/run.js";
import { ask } from "./dialog.js";
import { alert, field, tell } from "./parts.js";

/** @typedef {import("../model/launch.js").Wish} Wish */
/** @typedef {import("./dialog.js").Dialog} Dialog */

const LONGEST_CLOUD_INIT = 256 * 1024; // bytes; the service takes no more in one message

/** @param {import("./app.js").App} app */
export function openLaunch(app) {
    const known = h("datalist", { id: "launch-images" });
    const controls = {
        image: input("image", "noble, 24.04 or a URL", "launch-images"),
        name: input("name"), cpus: input("cpus", "1"), memory: input("memory", "1G"), disk: input("disk", "5G"),
    };
    const cloudInit = /** @type {HTMLTextAreaElement} */ (h("textarea", { id: "launch-cloudInit", spellcheck: "false", placeholder: "#cloud-config" }));
    const stage = h("div", { role: "status" });
    const dialog = ask({
        title: "Launch an instance",
        children: [
            field("Image", controls.image, "Images that the service knows are offered while you type."), known,
            field("Name", controls.name, "Left empty, one is chosen."),
            h("div", { class: "page-columns" }, field("CPUs", controls.cpus),
                field("Memory", controls.memory, "For example 512M or 2G."), field("Disk", controls.disk, "For example 5G.")),
            field("Cloud-init", cloudInit, "User data in YAML, which cloud-init applies at the first start."), stage,
        ],
        button: "Launch",
        deed: opened => launch(opened),
    });
    void offer(known, stage);

    /** @param {Dialog} opened */
    async function launch(opened) {
        const wish = /** @type {Wish} */ ({ cloudInit: cloudInit.value });
        for (const [name, control] of Object.entries(controls))
            wish[/** @type {keyof Wish} */ (name)] = control.value.trim();
        const found = mistakes(wish);
        if (new TextEncoder().encode(wish.cloudInit).length > LONGEST_CLOUD_INIT)
            found.cloudInit = "It is longer than 256 KiB.";
        if (!tell(opened.element, Object.fromEntries(Object.entries(found).map(([name, text]) => [`launch-${name}`, text]))))
            return false;
        replace(stage, h("p", {}, "Sent to the service …"));
        app.changed();
        try {
            await run(instance.launch(wish), { input: wish.cloudInit, line: line => shown(line) });
        } catch (error) {
            replace(stage);
            throw error;
        } finally {
            app.changed();
        }
        return true;
    }

    /** @param {string} line */
    function shown(line) {
        const now = progress(line);
        if (!now?.stage)
            return;
        const bar = h("progress", { max: 100, "aria-label": now.stage });
        if (now.percent !== null)
            bar.setAttribute("value", String(now.percent));
        replace(stage, h("p", {}, now.percent === null ? now.stage : `${now.stage}: ${now.percent}%`), bar);
    }

    return dialog;
}

/**
 * @param {string} name
 * @param {string} [placeholder]
 * @param {string} [list]
 */
function input(name, placeholder = "", list) {
    return /** @type {HTMLInputElement} */ (h("input", { id: `launch-${name}`, placeholder, list, autocomplete: "off", spellcheck: "false" }));
}

/**
 * Offer the images of `find`. Without them an image can be typed all the same.
 *
 * @param {HTMLElement} known
 * @param {HTMLElement} stage
 */
async function offer(known, stage) {
    try {
        const found = images(await readDocument(read.images()));
        replace(known, found.map(each => h("option", { value: each.value }, each.label)));
    } catch (error) {
        replace(stage, alert("info", "The list of images could not be read", [error instanceof Error ? error.message : ""]));
    }
}
