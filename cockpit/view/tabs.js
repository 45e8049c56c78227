/** The tabs of the page; the one that is shown stands in the address, so that it can be linked to. */

import { h, replace } from "../lib/dom.js";

/**
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {() => Promise<void>} load - reads and shows what is new; never throws
 * @property {() => number} [badge] - what wants attention there
 */

/** @typedef {{name: string, title: string, view: View}} Tab */

export class Tabs {
    /**
     * @param {Tab[]} tabs
     * @param {() => void} changed
     */
    constructor(tabs, changed) {
        this.tabs = tabs;
        this.changed = changed;
        this.shown = /** @type {Tab} */ (tabs[0]);
        this.panel = h("div", { id: "panel", role: "tabpanel", tabindex: 0 });
        this.badges = new Map(tabs.map(tab => [tab, h("span", {})]));
        this.links = new Map(tabs.map(tab => [tab, this.link(tab)]));
        this.element = h("div", { class: "pf-v6-c-tabs" },
            h("div", { class: "pf-v6-c-tabs__list", role: "tablist", "aria-label": "Parts of the page", keydown: event => this.pressed(event) },
                tabs.map(tab => h("div", { class: "pf-v6-c-tabs__item", role: "presentation" }, this.links.get(tab)))));
        this.show(this.shown);
    }

    get current() {
        return this.shown.view;
    }

    /** @param {Tab} tab */
    link(tab) {
        return h("button", {
            class: "pf-v6-c-tabs__link", type: "button", role: "tab", id: `tab-${tab.name}`, "aria-controls": "panel",
            click: () => cockpit.location.go([tab.name]),
        }, h("span", { class: "pf-v6-c-tabs__item-text" }, tab.title, this.badges.get(tab)));
    }

    followLocation() {
        const name = cockpit.location.path[0];
        const tab = this.tabs.find(each => each.name === name) ?? this.tabs[0];
        if (tab && tab !== this.shown) {
            this.show(tab);
            this.changed();
        }
    }

    /** @param {Tab} tab */
    show(tab) {
        this.shown = tab;
        for (const [each, link] of this.links) {
            const is = each === tab;
            link.setAttribute("aria-selected", String(is));
            link.setAttribute("tabindex", is ? "0" : "-1");
            link.parentElement?.classList.toggle("pf-m-current", is);
        }
        this.panel.setAttribute("aria-labelledby", `tab-${tab.name}`);
        replace(this.panel, tab.view.element);
    }

    showBadges() {
        for (const tab of this.tabs) {
            const number = tab.view.badge?.() ?? 0;
            const badge = this.badges.get(tab);
            if (badge)
                badge.textContent = number ? ` (${number})` : "";
        }
    }

    /** @param {KeyboardEvent} event */
    pressed(event) {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0;
        const tab = this.tabs[(this.tabs.indexOf(this.shown) + step + this.tabs.length) % this.tabs.length];
        if (step && tab) {
            event.preventDefault();
            cockpit.location.go([tab.name]);
            this.links.get(tab)?.focus();
        }
    }
}
