import assert from "node:assert/strict";
import {
  exact,
  fromField,
  learn,
  left,
  length,
  relative,
  serverNow,
  toField,
  zone,
} from "../../../chalicelib/console/ui/time.js";

const NOON = "2026-11-26T12:00:00Z";
const noonMs = Date.parse(NOON);

Deno.test("times under 24 hours are relative, later ones absolute", () => {
  zone.value = "utc";
  assert.equal(relative(NOON, noonMs + 1_000), "now");
  assert.equal(relative(NOON, noonMs + 37_000), "37 sec. ago");
  assert.equal(relative(NOON, noonMs - 120_000), "in 2 min.");
  assert.equal(relative(NOON, noonMs + 3 * 3_600_000), "3 hr. ago");
  assert.equal(relative(NOON, noonMs + 86_400_000), "26 Nov 2026, 12:00:00 UTC");
});

Deno.test("time left has two units and never goes below zero", () => {
  assert.equal(left(9_001), "10 s");
  assert.equal(left(245_000), "4 min 05 s");
  assert.equal(left(2 * 3_600_000 + 59_000), "2 h 0 min");
  assert.equal(left(51 * 3_600_000), "2 d 3 h");
  assert.equal(left(-5_000), "0 s");
});

Deno.test("a wrong clock of the device is corrected by the server's date", () => {
  learn("Thu, 26 Nov 2026 12:00:00 GMT", noonMs + 300_000);
  assert.equal(serverNow(noonMs + 300_000), noonMs);
  // The header has whole seconds: less than a second of difference changes nothing.
  learn("Thu, 26 Nov 2026 12:00:01 GMT", noonMs + 300_400);
  assert.equal(serverNow(noonMs + 300_000), noonMs);
  learn(null, noonMs);
  assert.equal(serverNow(noonMs + 300_000), noonMs);
});

Deno.test("lengths carry the unit that suits them", () => {
  assert.deepEqual([412, 3_140, 65_000].map(length), ["412 ms", "3.1 s", "1 min 05 s"]);
});

Deno.test("exact times name UTC when they are in UTC", () => {
  zone.value = "utc";
  assert.match(exact(NOON), / UTC$/);
});

Deno.test("a field for date and time is in the chosen zone", () => {
  zone.value = "utc";
  assert.equal(toField("2026-11-26T12:00:31.004Z"), "2026-11-26T12:00");
  assert.equal(fromField("2026-11-26T12:00"), "2026-11-26T12:00:00.000Z");
  zone.value = "local";
  assert.equal(fromField(toField(NOON)), new Date(noonMs).toISOString());
  assert.deepEqual([toField(""), fromField("")], ["", ""]);
});
