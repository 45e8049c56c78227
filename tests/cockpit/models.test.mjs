// The page's pure parts: what is shown, what can be done, which words are run.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseSize, relative, size } from "../../cockpit/lib/format.js";
import * as activity from "../../cockpit/model/activity.js";
import * as clients from "../../cockpit/model/clients.js";
import * as findings from "../../cockpit/model/findings.js";
import * as instances from "../../cockpit/model/instances.js";
import * as launch from "../../cockpit/model/launch.js";
import { obstacle } from "../../cockpit/model/state.js";
import { parseUnits, stateOf } from "../../cockpit/model/service.js";
import { admit, administer, inspect, instance, read } from "../../cockpit/programs/commands.js";
import { fromOutput, problemOf } from "../../cockpit/programs/problem.js";

const HOSTILE = "--version;<img src=x onerror=alert(1)>";
const NOW = Date.parse("2026-11-29T12:00:00Z");

test("what people typed stands behind --, as words of their own", () => {
    const commands = [
        instance.start(HOSTILE), instance.purge(HOSTILE), instance.restore(HOSTILE, "s"), instance.shell(HOSTILE),
        admit.invite(HOSTILE, "", "1h"), admit.revoke(HOSTILE), administer.remove(HOSTILE), read.snapshots(HOSTILE),
        instance.launch({ image: HOSTILE, name: "", cpus: "", memory: "", disk: "", cloudInit: "" }),
    ];
    for (const words of commands) {
        const at = words.findIndex(word => word.startsWith(HOSTILE));
        assert.ok(at > words.indexOf("--") && words.includes("--"), words.join(" "));
    }
});

test("an option's value can't become another option", () => {
    assert.ok(instance.snapshot("a", HOSTILE, HOSTILE).includes(`--name=${HOSTILE}`));
    assert.ok(inspect.log({ since: "today", client: HOSTILE, instance: HOSTILE, outcome: "" }).includes(`--client=${HOSTILE}`));
});

test("no secret has a place among the words", () => {
    assert.equal(admit.authenticate().length, 3);
    assert.deepEqual(admit.setPassphrase().slice(-2), ["--", "local.passphrase"]);
    assert.ok(!instance.launch({ image: "a", name: "", cpus: "", memory: "", disk: "", cloudInit: "secret" }).join().includes("secret"));
});

test("of the commands of findings only those that the page knows are offered", () => {
    assert.deepEqual(administer.repair(["multipass-trust", "check", "--repair"]),
        ["/usr/sbin/multipass-trust", "check", "--repair", "--format", "json"]);
    assert.deepEqual(administer.repair(["systemctl", "start", "multipassd.socket"]), ["/usr/bin/systemctl", "start", "multipassd.socket"]);
    for (const words of [["sh", "-c", "x"], ["multipass-trust", "reset", "--yes"], ["systemctl", "start", "x"], ["chmod", "600", "--x"], []])
        assert.equal(administer.repair(words), null);
});

test("an error is its document, the console's own word, or its last lines", () => {
    const text = 'a warning\n{"error": {"problem": "p", "next": "n", "kind": "denied", "exit_code": 2}}\n';
    assert.deepEqual([fromOutput(text)?.message, fromOutput(text)?.next, fromOutput(text)?.kind], ["p", "n", "denied"]);
    assert.equal(fromOutput("{broken"), null);
    assert.equal(problemOf({ problem: "access-denied", message: "x" }).kind, "limited");
    assert.equal(problemOf({ problem: "not-found" }).kind, "absent");
    assert.equal(problemOf({ problem: null, message: "usage: x\nwrong", exit_status: 2 }).message, "usage: x wrong");
    assert.equal(problemOf({ problem: null, message: "", exit_status: 2 }).message, "It ended with 2.");
});

test("each kind of a refusal is a state of the page", () => {
    const kinds = ["absent", "unreachable", "unauthenticated", "denied", "damaged", "lost"];
    const states = kinds.map(kind => obstacle(/** @type {any} */ ({ kind })));
    assert.deepEqual(states, ["absent", "down", "untrusted", "closed", "damaged", "failed"]);
    assert.equal(obstacle(null), "none");
});

const INFO = { errors: [], info: {
    b: { state: "Stopped", ipv4: [], release: "", image_release: "24.04 LTS", cpu_count: "", disks: { sda1: {} }, memory: {}, snapshot_count: "2", owner: "bob" },
    a: { state: "Running", ipv4: ["10.0.0.2"], release: "Ubuntu", image_release: "", cpu_count: "2", load: [0.5, 0, 0], disks: { sda1: { used: "50", total: "100" } }, memory: { used: 1, total: 4 }, owner: "eve" },
} };

test("instances are read from info, by name", () => {
    const [a, b] = instances.parse(INFO);
    assert.deepEqual([a.name, a.memory, a.disk, a.owner], ["a", { used: 1, total: 4 }, { used: 50, total: 100 }, "eve"]);
    assert.deepEqual(a.cpus, { used: 0.5, total: 2 });
    assert.deepEqual([b.memory, b.disk, b.snapshots, b.image], [null, null, 2, "24.04 LTS"]);
    assert.deepEqual(instances.parse(/** @type {any} */ ({})), []);
    const [away] = instances.parse({ info: { a: { ...INFO.info.a, location: "m2" } } });
    assert.deepEqual([a.location, away.location], ["", "m2"]);
    assert.equal(instances.filtered([a, away], "m2", "").length, 1);
});

test("what was asked seldom is kept only as long as the state is the same", () => {
    const [a] = instances.parse(INFO);
    const quick = { ...a, memory: null, cpus: null };
    assert.deepEqual(instances.completed([quick], [a])[0].memory, { used: 1, total: 4 });
    assert.equal(instances.completed([{ ...quick, state: "Stopped" }], [a])[0].memory, null);
    assert.deepEqual(instances.completed([quick], []), [quick]);
});

test("each state has its deeds, and what ends something is asked first", () => {
    const [a, b] = instances.parse(INFO);
    assert.equal(instances.deeds(a)[0], "shell");
    assert.equal(instances.deeds(b)[0], "start");
    assert.deepEqual(instances.deeds({ ...a, state: "New in a later release" }), []);
    assert.match(instances.confirmation("purge", b)?.text ?? "", /snapshots \(2\)/);
    assert.equal(instances.confirmation("start", b), null);
});

test("a filter's words may stand anywhere", () => {
    const all = instances.parse(INFO);
    assert.deepEqual(instances.filtered(all, "EVE 10.0", "").map(each => each.name), ["a"]);
    assert.deepEqual(instances.filtered(all, "", "Stopped").map(each => each.name), ["b"]);
    assert.equal(instances.filtered(all, "nothing", "").length, 0);
});

const TRUST = { state: "trusting", passphrase: true, problems: [],
    clients: [{ name: "bob", fingerprint: "0123456789abcdef0123", role: "admin", how: "x", enrolled: null, last_seen: null, expires: "2026-12-01T00:00:00+00:00" }],
    invitations: [{ name: "bob", role: "user", invited_by: "root", made: "2026-11-29T11:00:00+00:00", expires: "2026-11-29T13:00:00+00:00" }] };

test("a revocation names what ends", () => {
    const trust = clients.fromTrust(TRUST);
    const text = clients.endings(trust, "bob", ["web", "db"]).join("\n");
    for (const part of ["1 client of bob", "0123456789abcdef (admin)", "1 invitation is", "web, db", "no admin is trusted"])
        assert.ok(text.includes(part), part);
    assert.deepEqual(clients.endings(trust, "eve", []), []);
    const nameless = { ...trust, clients: [{ ...trust.clients[0], name: "" }] };
    assert.equal(clients.handle(nameless.clients[0]), "0123456789abcdef0123");
    assert.match(clients.endings(nameless, "0123456789abcdef0123", [])[0], /^1 client/);
    assert.ok(clients.endings(trust, "eve", Array.from({ length: 12 }, (_, number) => `i${number}`))[0].includes("and 2 more"));
});

test("clients are the same from either program, and quotas one line", () => {
    const own = clients.fromOwnClient({ clients: [
        { name: "bob", certificate: "01", role: "user", how: "h", since: "s", last_seen: "", expires: "" },
        { name: "eve", certificate: "", role: "user", how: "invited by bob", since: "s", last_seen: "", expires: "e" },
    ], quotas: { bob: { instances: { used: "1", limit: "5" }, networks: { used: "0", limit: "0" } } } });
    assert.deepEqual([own.clients.length, own.invitations.length], [1, 1]);
    assert.equal(clients.quotaText(own, "bob"), "instances 1 of 5");
    assert.equal(clients.quotaText(own, "eve"), "");
});

test("clients are filtered by words, and stand by name", () => {
    const { clients: [bob] } = clients.fromTrust(TRUST);
    const all = [{ ...bob, name: "eve", role: "viewer" }, bob];
    assert.deepEqual(clients.filtered(all, "").map(each => each.name), ["bob", "eve"]);
    assert.deepEqual(clients.filtered(all, "VIEWER 0123").map(each => each.name), ["eve"]);
    assert.deepEqual(clients.filtered(all, "mallory"), []);
});

test("certificates that end are marked, names are checked", () => {
    const [client] = clients.fromTrust(TRUST).clients;
    assert.equal(clients.age(client, NOW), "soon");
    assert.equal(clients.age({ ...client, expires: "2026-01-01T00:00:00Z" }, NOW), "ended");
    assert.equal(clients.age({ ...client, expires: null }, NOW), "");
    assert.equal(clients.nameProblem("bob-2"), "");
    for (const name of ["", "Bob", "1b", "b".repeat(33), "b<b"])
        assert.notEqual(clients.nameProblem(name), "", name);
});

test("findings: problems first, with what to type and what the page may run", () => {
    const found = findings.parse({ findings: [
        { level: "ok", text: "fine", next: "", command: [] },
        { level: "problem", text: "loose", next: "`sudo a b`, then `c`", command: ["multipass-trust", "check", "--repair"] },
    ] });
    assert.deepEqual(found.map(each => each.level), ["problem", "ok"]);
    assert.deepEqual(found[0].typed, ["sudo a b", "c"]);
    assert.ok(found[0].command && found[1].command === null);
    assert.equal(findings.problems(found), 1);
});

test("records of the journal, the newest first", () => {
    const row = { time: "2026-11-29T11:00:00.000+00:00", name: "", role: "", client: "abcdef0123456789ff", uid: "7", pid: "9", address: "", event: "e", what: "stop", instances: ["x"], snapshot: "s", source: "", setting: "", about: "", outcome: "done", status: "", reason: "", times: "", message: "" };
    const [second, first] = activity.parse({ records: [row, { ...row, what: "start", outcome: "refused", reason: "no", status: "7" }] });
    assert.deepEqual([first.who, first.from, first.on], ["abcdef0123456789", "uid 7, pid 9", "x.s"]);
    assert.equal(activity.parse({ records: [{ ...row, client: "", user: "alice" }] })[0].who, "alice");
    assert.equal(second.reason, "7: no");
    assert.deepEqual(activity.filtered([second, first], "done"), [first]);
    assert.deepEqual(activity.filtered([second, first], "other"), [second]);
});

test("the form of a launch says what is wrong", () => {
    const wish = { image: "noble", name: "", cpus: "", memory: "", disk: "", cloudInit: "" };
    assert.deepEqual(launch.mistakes(wish), {});
    const wrong = launch.mistakes({ ...wish, image: " ", name: "a_b", cpus: "0", memory: "1M", disk: "x" });
    assert.deepEqual(Object.keys(wrong), ["image", "name", "cpus", "memory", "disk"]);
    assert.deepEqual(launch.progress('{"stage": "Retrieving image", "percent": 7}'), { stage: "Retrieving image", percent: 7, launched: "" });
    assert.equal(launch.progress("text"), null);
    assert.deepEqual(launch.images({ images: { noble: { os: "Ubuntu", release: "24.04 LTS", version: "2026" } } }),
        [{ value: "noble", label: "noble: Ubuntu 24.04 LTS (2026)" }]);
});

test("units make the service's state", () => {
    const block = (/** @type {string} */ id, /** @type {string} */ load, /** @type {string} */ active) =>
        `Id=${id}\nLoadState=${load}\nActiveState=${active}\nSubState=x\nStatusText=a=b\n`;
    const state = (/** @type {string[]} */ service, /** @type {string[]} */ socket) =>
        stateOf(parseUnits([block("multipassd.service", service[0], service[1]), block("multipassd.socket", socket[0], socket[1])].join("\n")));
    assert.equal(state(["loaded", "active"], ["loaded", "active"]).detail, "a=b");
    assert.equal(state(["loaded", "inactive"], ["loaded", "active"]).text, "Ready");
    assert.ok(state(["loaded", "inactive"], ["loaded", "inactive"]).canStart);
    assert.equal(state(["loaded", "failed"], ["loaded", "active"]).tone, "danger");
    assert.ok(!state(["masked", "inactive"], ["loaded", "inactive"]).canStart);
    assert.equal(stateOf(parseUnits("")).text, "Without units");
});

test("sizes and times", () => {
    assert.deepEqual([size(0), size(1023), size(1536), size(3 * 1024 ** 3)], ["0 B", "1023 B", "1.5 KiB", "3.0 GiB"]);
    assert.deepEqual([parseSize("512M"), parseSize("1.5GiB"), parseSize("7"), Number.isNaN(parseSize("x"))],
        [512 * 1024 ** 2, 1.5 * 1024 ** 3, 7, true]);
    assert.equal(relative("2026-11-29T10:00:00Z", NOW), "2 hours ago");
    assert.equal(relative("2026-11-30T12:00:00Z", NOW), "in 1 day");
    assert.deepEqual([relative(null, NOW), relative("2026-11-29T12:00:01Z", NOW), relative("x", NOW)], ["–", "now", "x"]);
});
