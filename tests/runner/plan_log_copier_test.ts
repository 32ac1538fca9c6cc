import assert from "node:assert/strict";
import { planLogCopier } from "#/runner/plan_log_copier.ts";
import { thisProgram } from "../fixture/workspace.ts";

const BASE = { program: thisProgram(), env: { HOME: "/h", SECRET: "s" }, internalDir: "/w/u/internal" };
const allows = (args: readonly string[]) => args.filter((arg) => /^--allow|^-A/.test(arg));

Deno.test("planLogCopier() backs up with the guest's folder to read and one folder to write", () => {
  const plan = planLogCopier({ ...BASE, copy: { what: "backup", scratchDir: "/mnt/b/.x" } });
  assert.deepEqual(allows(plan.args), ["--allow-read=/w/u/internal,/mnt/b/.x", "--allow-write=/mnt/b/.x"]);
  assert.deepEqual(plan.args.slice(-3), ["backup", "/w/u/internal/oxydra.db", "/mnt/b/.x/backup.db"]);
  for (const flag of ["--no-prompt", "--cached-only", "--no-npm", "--no-lock", "--no-remote"]) {
    assert.ok(plan.args.includes(flag), flag);
  }
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h" });
});

Deno.test("planLogCopier() restores with one file to read and the guest's folder to write", () => {
  const plan = planLogCopier({ ...BASE, copy: { what: "restore", from: "/mnt/b/a.db", stamp: "now" } });
  assert.deepEqual(allows(plan.args), ["--allow-read=/mnt/b/a.db,/w/u/internal", "--allow-write=/w/u/internal"]);
  assert.deepEqual(plan.args.slice(-4), ["restore", "/mnt/b/a.db", "/w/u/internal/oxydra.db", "now"]);
});

Deno.test("planLogCopier() refuses a path that a flag would read as two", () => {
  for (
    const copy of [{ what: "backup", scratchDir: "/a,/etc" }, { what: "restore", from: "/a,/etc", stamp: "" }] as const
  ) {
    assert.throws(() => planLogCopier({ ...BASE, copy }), { code: "config_invalid" });
  }
});
