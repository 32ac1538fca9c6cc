import assert from "node:assert/strict";
import { runSessions, toAsk } from "#/cli/sessions.ts";
import { LIMITS } from "#/core/limits.ts";
import { denoEnv, makeMachine, runOxydra } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

Deno.test("toAsk() makes a question of a command line, or says what is wrong with it", () => {
  assert.deepEqual(toAsk("list", [], {}), { do: "list", archived: false });
  assert.deepEqual(toAsk("list", [], { archived: true }), { do: "list", archived: true });
  assert.deepEqual(toAsk("show", ["s"], {}), { do: "show", id: "s" });
  assert.deepEqual(toAsk("rename", ["s", "Name"], {}), { do: "rename", id: "s", name: "Name" });
  assert.deepEqual(toAsk("rename", ["s", " "], {}), { do: "rename", id: "s", name: null });
  assert.deepEqual(toAsk("delete", ["s"], { yes: true }), { do: "delete", id: "s", yes: true });
  assert.deepEqual(toAsk("branch", ["s"], { at: "12", name: "n" }), { do: "branch", id: "s", at: 12, name: "n" });
  assert.deepEqual(toAsk("branch", ["s"], {}), { do: "branch", id: "s" });
  assert.deepEqual(toAsk("import", ["f"], {}), { do: "import" });
  for (const at of ["0", "-1", "1.5", "x", "", "9".repeat(16)]) {
    assert.throws(() => toAsk("branch", ["s"], { at }), { code: "usage" }, at);
  }
  assert.throws(() => toAsk("rename", ["s", "x".repeat(LIMITS.sessionNameCharsMax + 1)], {}), { code: "usage" });
});

Deno.test("runSessions() says of a file that is not there what it is, before anything starts", async () => {
  const { cwd, env } = await makeMachine();
  using _realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  await assert.rejects(runSessions("import", [`${cwd}/none`], {}, "1"), { code: "usage", message: /cannot be read/ });
  Deno.writeTextFileSync(`${cwd}/there`, "");
  const there = { output: `${cwd}/there` };
  await assert.rejects(runSessions("export", ["s"], there, "1"), { code: "usage", message: /is there already/ });
  const nowhere = { output: `${cwd}/no/where` };
  await assert.rejects(runSessions("export", ["s"], nowhere, "1"), { code: "usage", message: /cannot be written/ });
});

Deno.test("runSessions() exports to a new file of its own mode, and leaves none when there is no such session", async () => {
  const { cwd, env } = await makeMachine();
  using _realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  const output = `${cwd}/a.jsonl`;
  assert.equal(await runSessions("export", ["nobody"], { output }, "1"), 2);
  assert.throws(() => Deno.statSync(output), Deno.errors.NotFound);
});

Deno.test("oxydra sessions goes the whole way: said, listed, exported, imported, deleted", async () => {
  const machine = await makeMachine();
  const oxydra = async (...args: string[]) => await runOxydra(args, machine);
  assert.equal((await oxydra("run", "--session", "rivers", "write hello to /shared/a.txt")).code, 0);
  const listed = await oxydra("sessions");
  assert.match(listed.out, /^rivers .* 1 /m, listed.err);
  assert.ok(listed.out.split("\n").every((line) => line.length <= 60));
  const file = `${machine.cwd}/rivers.jsonl`;
  assert.equal((await oxydra("sessions", "export", "riv", "--output", file)).code, 0);
  assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
  const made = await oxydra("sessions", "import", file);
  assert.match(made.out, /^imported: [0-9a-f-]{36}\n$/, made.err);
  assert.equal((await oxydra("sessions", "delete", "rivers")).code, 2);
  assert.equal((await oxydra("sessions", "delete", "rivers", "--yes")).code, 0);
  const { sessions } = JSON.parse((await oxydra("sessions", "list", "--archived", "--json")).out);
  const rivers = sessions.find(({ id }: { id: string }) => id === "rivers");
  assert.deepEqual([rivers.archived, rivers.turns, rivers.name], [true, 0, null]);
});
