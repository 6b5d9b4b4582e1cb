import assert from "node:assert/strict";
import { added, MOST, points, shares, told } from "../../../chalicelib/console/ui/chart.js";

const MINUTE_MS = 60_000;

Deno.test("parts of a bar are in proportion, and 0 has no width", () => {
  assert.deepEqual(shares([50, 0, 25], 100), [50, 0, 25]);
  assert.deepEqual(shares([0, 0, 0], 1), [0, 0, 0]);
});

Deno.test("one dead letter beside a thousand messages is seen, and the bar stays full", () => {
  const [pending, dead] = shares([999, 1], 1000);
  assert.equal(dead, 3);
  assert.equal(pending, 97);
});

Deno.test("a line has its last moment at the right and its greatest value at the top", () => {
  const samples = [{ atMs: 0, values: [0, 1] }, { atMs: 10 * MINUTE_MS, values: [4, 1] }];
  assert.equal(points(samples, 0, 104, 24), "2,22 102,2");
  assert.equal(points(samples, 1, 104, 24), "2,17 102,17");
});

Deno.test("a line of less than five minutes grows from the right, without being stretched", () => {
  const samples = [{ atMs: 0, values: [2] }, { atMs: MINUTE_MS, values: [2] }];
  assert.equal(points(samples, 0, 104, 24), "82,2 102,2");
});

Deno.test("a single moment is a short line, and none is nothing", () => {
  assert.equal(points([{ atMs: 5, values: [1] }], 0, 104, 24), "100,2 102,2");
  assert.equal(points([], 0, 104, 24), "");
});

Deno.test("the oldest samples are dropped beyond the limit", () => {
  /** @type {import("../../../chalicelib/console/ui/chart.js").Sample[]} */
  let samples = [];
  for (let atMs = 0; atMs < MOST + 5; atMs += 1) samples = added(samples, { atMs, values: [1] });
  assert.equal(samples.length, MOST);
  assert.equal(samples[0]?.atMs, 5);
});

Deno.test("lines are told as a range with their last value", () => {
  const samples = [[5, 0], [0, 0], [3, 0]].map((values, atMs) => ({ atMs, values }));
  assert.equal(told(samples, ["pending", "dead"]), "pending 0 to 5, now 3; dead 0");
  assert.equal(told(samples.slice(0, 1), [""], " ms"), "5 ms");
});
