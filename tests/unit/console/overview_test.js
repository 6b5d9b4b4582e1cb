import assert from "node:assert/strict";
import { failing } from "../../../chalicelib/console/ui/pages/overview.js";
import { NOTHING, ticks } from "../../../chalicelib/console/ui/parts/steps.js";
import { heard, instances } from "../../../chalicelib/console/ui/instances.js";

const IDLE = { pending: 0, processing: 0, completed: 3, failed: 1, dead: 0 };
const WELL = {
  status: /** @type {const} */ ("ready"),
  stores: { mongodb: { ok: true, latencyMs: 1 }, dynamodb: { ok: true, latencyMs: 2 } },
};

Deno.test("past failures are not failing now", () => {
  assert.deepEqual(failing(WELL, { ...IDLE, queues: { push: IDLE } }), []);
  assert.deepEqual(failing(null, null), []);
});

Deno.test("each failing store and queue leads to its page", () => {
  const stores = { mongodb: { ok: false, latencyMs: 2000 }, dynamodb: { ok: true, latencyMs: 2 } };
  const queues = { push: IDLE, callback: { ...IDLE, dead: 1 } };
  assert.deepEqual(failing({ status: "degraded", stores }, { ...IDLE, queues }), [
    { to: "#/cluster", words: "MongoDB does not answer" },
    { to: "#/queues/callback", words: "1 dead letter in callback" },
  ]);
});

Deno.test("a webhook that was disabled for its failures leads to its page", () => {
  const hook = { webhookId: "01", url: "https://shop.example/hooks", enabled: false };
  const hooks = ["no delivery succeeded for 5 days", "by an administrator"].map((
    reason,
  ) => /** @type {any} */ ({ ...hook, disabledReason: reason }));
  const [found, ...others] = failing(WELL, { ...IDLE, queues: {} }, hooks);
  assert.deepEqual(found, {
    to: "#/webhooks/01",
    words: "The webhook to shop.example/hooks is disabled",
  });
  assert.deepEqual(others, []);
});

Deno.test("a delivered webhook ticks the third step alone", () => {
  assert.deepEqual(ticks({ ...NOTHING, hooked: true }, 0), [false, false, true, false]);
});

Deno.test("a delivered callback ticks the third step alone", () => {
  assert.deepEqual(ticks(NOTHING, 0), [false, false, false, false]);
  assert.deepEqual(ticks({ ...NOTHING, asked: true }, 1), [true, false, true, false]);
});

Deno.test("instances keep the order of their first answers, and the silent ones go", () => {
  heard("first", 1);
  heard("second", 2);
  heard("first", 3);
  heard(null, 4);
  assert.deepEqual(instances.value, {
    first: { calls: 2, atMs: 3 },
    second: { calls: 1, atMs: 2 },
  });
  for (let number = 0; number < 49; number += 1) heard(`i${number}`, 10 + number);
  assert.equal(Object.keys(instances.value).length, 50);
  assert.equal(instances.value.second, undefined);
});
