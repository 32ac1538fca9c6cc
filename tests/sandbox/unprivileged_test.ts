import assert from "node:assert/strict";
import { runUnprivileged } from "../fixture/unprivileged.ts";

const FILES = ["tests/sandbox/tier_bwrap_test.ts", "tests/attack/walled_shell_test.ts"];

Deno.test("every test of walled processes holds for a user who is not root", async () => {
  const run = await runUnprivileged(FILES, ["zod"]);
  assert.ok(run === undefined || run.success, run?.text);
});
