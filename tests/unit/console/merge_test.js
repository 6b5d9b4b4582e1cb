import assert from "node:assert/strict";
import { compare, decided, merged } from "../../../chalicelib/console/ui/merge.js";

const WAS = { name: "Ada", amount: 100, term: 12 };

Deno.test("a field that one side changed is kept from that side", () => {
  const theirs = { name: "Ada", amount: 200, term: 12 };
  const yours = { name: "Ada", amount: 100, term: 24 };
  const merge = compare(WAS, theirs, yours);
  assert.deepEqual(merge, { clashes: [], onlyYours: ["term"], onlyTheirs: ["amount"] });
  assert.deepEqual(merged(theirs, yours, merge, {}), { term: 24 });
});

Deno.test("a field that both changed differently needs a choice", () => {
  const theirs = { ...WAS, amount: 200 };
  const yours = { ...WAS, amount: 300, term: 24 };
  const merge = compare(WAS, theirs, yours);
  assert.deepEqual(merge.clashes, [{ name: "amount", was: 100, theirs: 200, yours: 300 }]);
  assert.equal(decided(merge, {}), false);
  assert.equal(decided(merge, { amount: "theirs" }), true);
  assert.deepEqual(merged(theirs, yours, merge, { amount: "theirs" }), { term: 24 });
  assert.deepEqual(merged(theirs, yours, merge, { amount: "yours" }), { amount: 300, term: 24 });
});

Deno.test("the same change on both sides is no conflict, and nothing to send", () => {
  const theirs = { ...WAS, amount: 200 };
  const merge = compare(WAS, theirs, { ...WAS, amount: 200 });
  assert.deepEqual(merge, { clashes: [], onlyYours: [], onlyTheirs: [] });
  assert.deepEqual(merged(theirs, { ...WAS, amount: 200 }, merge, {}), {});
});

Deno.test("a field put back by them and changed by you is yours alone", () => {
  const merge = compare(WAS, WAS, { ...WAS, term: 6 });
  assert.deepEqual(merge.onlyYours, ["term"]);
});
