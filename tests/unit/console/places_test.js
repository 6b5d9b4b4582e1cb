import assert from "node:assert/strict";
import { session } from "../../../chalicelib/console/ui/api.js";
import { landing, may, placeOf } from "../../../chalicelib/console/ui/places.js";

Deno.test("each role begins at its own page, the highest role first", () => {
  assert.equal(landing(["user"]), "inbox");
  assert.equal(landing(["service"]), "inbox");
  assert.equal(landing(["officer", "user"]), "applications");
  assert.equal(landing(["user", "officer", "admin"]), "overview");
  assert.equal(landing([]), "inbox");
});

Deno.test("an empty address is the page where the person begins", () => {
  session.value = { username: "ada", roles: ["admin"], sessionId: "1", expiresAt: "" };
  assert.equal(placeOf("")?.page, "overview");
  session.value = { username: "ben", roles: ["officer"], sessionId: "2", expiresAt: "" };
  assert.equal(placeOf("")?.page, "applications");
  assert.equal(may("overview"), false);
  assert.equal(may("cluster"), false);
});
