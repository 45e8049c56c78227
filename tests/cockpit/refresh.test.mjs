// The page asks while somebody looks, one question after the other, and not at all otherwise.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Refresh } from "../../cockpit/lib/refresh.js";

/** A piece of work that ends when the test says so. */
function work() {
    const ends = /** @type {(() => void)[]} */ ([]);
    let begun = 0;
    return {
        do: () => new Promise(resolve => {
            begun += 1;
            ends.push(() => resolve(undefined));
        }),
        end: async () => {
            ends.shift()?.();
            await new Promise(resolve => setImmediate(resolve));
        },
        get begun() {
            return begun;
        },
    };
}

test("a slow answer is not overtaken by the next question", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const slow = work();
    const refresh = new Refresh(/** @type {any} */ (slow.do), 1000, () => false);
    void refresh.now();
    mock.timers.tick(10_000);
    assert.equal(slow.begun, 1);
    await slow.end();
    mock.timers.tick(999);
    assert.equal(slow.begun, 1);
    mock.timers.tick(1);
    assert.equal(slow.begun, 2);
    mock.timers.reset();
});

test("what is asked for in between is done once, as soon as the running one has ended", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const slow = work();
    const refresh = new Refresh(/** @type {any} */ (slow.do), 1000, () => false);
    void refresh.now();
    void refresh.now();
    void refresh.now();
    await slow.end();
    assert.equal(slow.begun, 2);
    await slow.end();
    assert.equal(slow.begun, 2);
    mock.timers.reset();
});

test("nothing is asked while the page is hidden, and at once when it is shown again", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    let hidden = false;
    const quick = work();
    const refresh = new Refresh(/** @type {any} */ (quick.do), 1000, () => hidden);
    void refresh.now();
    await quick.end();
    hidden = true;
    refresh.visibilityChanged();
    mock.timers.tick(60_000);
    assert.equal(quick.begun, 1);
    hidden = false;
    refresh.visibilityChanged();
    assert.equal(quick.begun, 2);
    await quick.end();
    mock.timers.reset();
});
