import assert from "node:assert/strict";
import { chooseUser } from "#/config/choose_user.ts";

Deno.test("chooseUser() takes the asked one, `default`, or the only one", () => {
  assert.equal(chooseUser(undefined, []), "default");
  assert.equal(chooseUser(undefined, ["alice"]), "alice");
  assert.equal(chooseUser(undefined, ["alice", "default"]), "default");
  assert.equal(chooseUser("bob", []), "bob");
  assert.equal(chooseUser("bob", ["alice", "bob"]), "bob");
});

Deno.test("chooseUser() refuses to guess, an unknown user, and an id that is no folder name", () => {
  assert.throws(() => chooseUser(undefined, ["alice", "bob"]), /choose one of alice, bob/);
  assert.throws(() => chooseUser("alicce", ["alice"]), /the nearest is alice/);
  for (const id of ["", "..", "a/b", "A", "-a", "a".repeat(33), "a\n", "a b", "é"]) {
    assert.throws(() => chooseUser(id, []), { code: "config_invalid" }, id);
  }
  assert.equal(chooseUser("a".repeat(32), []), "a".repeat(32));
});
