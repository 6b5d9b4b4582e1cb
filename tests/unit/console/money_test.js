import assert from "node:assert/strict";
import { digits, minor, money, typed } from "../../../chalicelib/console/ui/money.js";

Deno.test("each currency has its own digits", () => {
  assert.deepEqual(["EUR", "JPY", "KWD", "E"].map(digits), [2, 0, 3, 2]);
});

Deno.test("money is shown exactly, in groups of thousands", () => {
  assert.equal(money(125_000, "EUR"), "EUR 1,250.00");
  assert.equal(money(5, "EUR"), "EUR 0.05");
  assert.equal(money(125_000, "JPY"), "JPY 125,000");
  assert.equal(money(1_234, "KWD"), "KWD 1.234");
  assert.equal(money(1e15, "EUR"), "EUR 10,000,000,000,000.00");
});

Deno.test("typed amounts are read without rounding", () => {
  assert.equal(minor("1250", "EUR"), 125_000);
  assert.equal(minor(" 1,250.5 ", "EUR"), 125_050);
  assert.equal(minor("0.29", "EUR"), 29);
  assert.equal(minor("1250", "JPY"), 1_250);
  assert.equal(minor("1.234", "KWD"), 1_234);
});

Deno.test("text that is no amount of the currency is refused", () => {
  for (const text of ["", "x", "-1", "1e3", "1.2.3", "0.005", "12345678901234567890"]) {
    assert.equal(minor(text, "EUR"), null, text);
  }
  assert.equal(minor("1.5", "JPY"), null);
});

Deno.test("what a field shows is read as the same amount", () => {
  for (const currency of ["EUR", "JPY", "KWD"]) {
    for (const amount of [0, 1, 9, 10, 99, 100, 12_345, 1e15]) {
      assert.equal(minor(typed(amount, currency), currency), amount);
    }
  }
});
