/** The page: its parts put together, and refreshed while it is looked at. */

import { h, replace } from "./lib/dom.js";
import { Refresh } from "./lib/refresh.js";
import { follow } from "./lib/theme.js";
import { App } from "./view/app.js";
import { Activity } from "./view/activity.js";
import { Findings } from "./view/findings.js";
import { Instances } from "./view/instances.js";
import { ServiceHeader } from "./view/service.js";
import { Tabs } from "./view/tabs.js";
import { Trust } from "./view/trust.js";

const EVERY = 4000; // milliseconds between an answer and the next question

follow();
const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const app = new App(/** @type {HTMLElement} */ (document.getElementById("alerts")));
const service = new ServiceHeader(app, /** @type {HTMLElement} */ (document.getElementById("service")));
const findings = new Findings(app);
const instances = new Instances(app);
const tabs = new Tabs([
    { name: "instances", title: "Instances", view: instances },
    { name: "trust", title: "Trust", view: new Trust(app, instances) },
    { name: "findings", title: "Findings", view: findings },
    { name: "activity", title: "Activity", view: new Activity(app) },
], () => void refresh.now());

const refresh = new Refresh(async () => {
    await Promise.all([service.load(), tabs.current.load()]);
    tabs.showBadges();
    page.setAttribute("aria-busy", "false");
}, EVERY, () => cockpit.hidden);

app.refresh = () => refresh.now();
app.recheck = () => findings.soon(() => tabs.showBadges());
cockpit.addEventListener("visibilitychange", () => refresh.visibilityChanged());
cockpit.addEventListener("locationchanged", () => tabs.followLocation());
replace(/** @type {HTMLElement} */ (document.getElementById("tabs")), tabs.element);
replace(/** @type {HTMLElement} */ (document.getElementById("content")), tabs.panel);
page.prepend(h("h1", { class: "page-heard" }, "Multipass"));

instances.ask();
await app.begin();
tabs.followLocation();
await refresh.now();
performance.mark("shown"); // for who measures how long it takes
// Once, as it looks into many places: it says at once when an administrator is locked out.
app.recheck();
