import assert from "node:assert/strict";
import { href, parse } from "../../../chalicelib/console/ui/route.js";

Deno.test("an address is read as page, id and filters", () => {
  assert.deepEqual(parse("#/approvals/01M8?status=pending&username=a%26b"), {
    page: "approvals",
    id: "01M8",
    query: { status: "pending", username: "a&b" },
  });
  assert.deepEqual(parse(""), { page: "", id: "", query: {} });
});

Deno.test("an id with slashes and signs survives its address", () => {
  const id = "a/b?c#d%e é";
  assert.equal(parse(href("approvals", id)).id, id);
});

Deno.test("a broken escape in an address stays as it stands", () => {
  assert.equal(parse("#/approvals/100%").id, "100%");
});

Deno.test("empty filters are left out of an address", () => {
  assert.equal(href("approvals", "", { status: "", username: "ann" }), "#/approvals?username=ann");
  assert.equal(href("approvals"), "#/approvals");
});
