/** src/cli/log_reader.ts in a process of its own, with exactly the flags of its plan. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type LogQuestion, planLogReader } from "#/runner/plan_log_reader.ts";
import { thisProgram } from "../fixture/workspace.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeAuditedMachine, makeBusyMachine } from "./audit_kit.ts";

async function run(internalDir: string, path?: string, question: LogQuestion = ["heads"]) {
  const plan = planLogReader({ program: thisProgram(), env: denoEnv(), internalDir, question });
  const args = path === undefined ? plan.args : plan.args.with(-1 - question.length, path);
  const child = new Deno.Command(plan.command, {
    args: [...args],
    clearEnv: true,
    env: { ...plan.env },
    stdin: "null",
  });
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("src/cli/log_reader.ts prints one JSON line a head, and leaves the event log as it is", async () => {
  using machine = await makeBusyMachine(2);
  const path = join(machine.internal, "oxydra.db");
  const before = Deno.readFileSync(path);
  const { code, out, err } = await run(machine.internal);
  assert.deepEqual([code, err], [0, ""]);
  const lines = machine.heads.map((head, i) => JSON.stringify({ ...head, turn: `t${i}` })).reverse();
  assert.equal(out, lines.map((line) => `${line}\n`).join(""));
  assert.deepEqual(Deno.readFileSync(path), before);
  const log = await machine.openEvents();
  assert.equal((await log.read("s", { fromSeq: 1, limit: 10 })).length, 4);
  await log.close();
});

Deno.test("src/cli/log_reader.ts prints nothing and fails for no file, a link, a database that is none, and a file outside its folder", async () => {
  using machine = makeAuditedMachine();
  using other = await makeBusyMachine(1);
  const path = join(machine.internal, "oxydra.db");
  const fails = async (what: string, target?: string) => {
    const { code, out } = await run(machine.internal, target);
    assert.deepEqual([code === 0, out], [false, ""], what);
  };
  await fails("no file");
  await fails("a file outside", join(other.internal, "oxydra.db"));
  Deno.symlinkSync(join(other.internal, "oxydra.db"), path);
  await fails("a link");
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "SQLite format 3\u0000and then nothing of the kind".padEnd(5_000, "x"));
  await fails("no database");
});
