import assert from "node:assert/strict";
import { isMoving } from "../../../chalicelib/console/ui/parts/deliveries.js";
import { bodyOf, EMPTY, formOf, place } from "../../../chalicelib/console/ui/parts/hook.js";
import { overlap } from "../../../chalicelib/console/ui/parts/secret.js";
import { zone } from "../../../chalicelib/console/ui/time.js";

const WEBHOOK = {
  webhookId: "01",
  url: "https://shop.example/hooks?token=1#2",
  events: ["application.approved", "application.*", "loan.paid"],
  description: "",
  rateLimitPerMinute: 60,
  maxInFlight: 5,
  priority: "normal",
  enabled: true,
  disabledReason: null,
  paused: false,
  rotatedAt: null,
  version: 1,
  createdAt: "",
  createdBy: "",
  updatedAt: "",
  updatedBy: "",
};

Deno.test("an unchanged form means the webhook as it is", () => {
  const body = bodyOf(formOf(WEBHOOK));
  for (const [name, value] of Object.entries(body)) {
    assert.deepEqual(value, /** @type {Record<string, unknown>} */ (WEBHOOK)[name]);
  }
});

Deno.test("all events take the place of single events", () => {
  const form = { ...EMPTY, events: ["approval.timeout", "*"], others: "loan.paid" };
  assert.deepEqual(bodyOf(form).events, ["*"]);
});

Deno.test("a shown address has no password of its receiver", () => {
  assert.equal(place(WEBHOOK.url), "shop.example/hooks");
});

Deno.test("a rotated secret signs for 24 hours", () => {
  zone.value = "utc";
  const rotated = "2026-11-26T12:00:00.000Z";
  const nowMs = Date.parse(rotated) + 86_399_000;
  assert.equal(overlap(rotated, nowMs), "27 Nov 2026, 12:00:00 UTC");
  assert.equal(overlap(rotated, nowMs + 1_000), "");
  assert.equal(overlap(null, nowMs), "");
});

Deno.test("a delivery moves while its attempt is a minute away at most", () => {
  const moves = (/** @type {string} */ status, /** @type {number | null} */ inMs) =>
    isMoving(
      /** @type {any} */ ({
        status,
        dueAt: inMs === null ? null : new Date(Date.now() + inMs).toISOString(),
      }),
    );
  assert.deepEqual([5_000, -5_000, 300_000, -300_000].map((ms) => moves("due", ms)), [
    true,
    true,
    false,
    false,
  ]);
  assert.deepEqual(["in-flight", "delivered", "dead"].map((status) => moves(status, null)), [
    true,
    false,
    false,
  ]);
});
