import assert from "node:assert/strict";
import { runUnprivileged } from "../fixture/unprivileged.ts";

const FILES = [
  "tests/sandbox/tier_bwrap_test.ts",
  "tests/sandbox/shell_walled_test.ts",
  "tests/attack/walled_shell_test.ts",
  "tests/attack/shell_session_test.ts",
  "tests/attack/shell_bypass_test.ts",
];

Deno.test("every test of walled processes holds for a user who is not root", async () => {
  const run = await runUnprivileged(FILES);
  const text = run?.text ?? "";
  assert.ok(run === undefined || run.success, text.slice(Math.max(0, text.indexOf("\n ERRORS "))));
});
