import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import { isThere, readLog, requireLocalLog, toLogPlace } from "#/cli/read_log.ts";
import { main } from "#/cli/main.ts";
import { type AuditedMachine, makeAuditedMachine, makeBusyMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

async function lines(machine: AuditedMachine, internalDir = machine.internal): Promise<string[]> {
  using _realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const failed = (why: string) => new AppError("store_failed", why);
  return await Array.fromAsync(readLog({ internalDir, question: ["heads"], failed }));
}

Deno.test("readLog() gives the lines of the process that reads, none where there is no log, and the caller's error", async () => {
  using machine = await makeBusyMachine(2);
  assert.deepEqual((await lines(machine)).map((line) => JSON.parse(line).turn), ["t1", "t0"]);
  using empty = makeAuditedMachine();
  assert.deepEqual(await lines(empty), []);
  Deno.writeTextFileSync(join(empty.internal, "oxydra.db"), "no database");
  await assert.rejects(lines(empty), { code: "store_failed", message: "the event log cannot be read" });
  const link = join(empty.cwd, "link");
  Deno.symlinkSync(machine.internal, link);
  await assert.rejects(lines(empty, link), { code: "store_failed", message: `${link} is no plain folder` });
});

Deno.test("toLogPlace() and requireLocalLog() know a log that is no file here", async () => {
  using machine = makeAuditedMachine();
  const failed = (why: string) => new AppError("store_failed", why);
  const local = await machine.load();
  assert.equal(toLogPlace(local, { internal: "/i" }), "/i/oxydra.db");
  requireLocalLog(local, failed);
  machine.write(
    "home/.config/oxydra/agent.toml",
    '[memory]\nremote_url = "libsql://db.example"\nauth_token = "hush"\n',
  );
  const remote = await machine.load();
  assert.equal(toLogPlace(remote, { internal: "/i" }), "remote store db.example:443");
  assert.throws(() => requireLocalLog(remote, failed), {
    message: /the event log is in the remote store db\.example:443/,
  });
  for (const command of [["usage"], ["audit", "verify"]]) {
    using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
    assert.equal(await main(command, "1.2.3"), 1, command.join());
    assert.match(realm.out() + realm.err(), /the event log is in the remote store/, command.join());
  }
});

Deno.test("isThere() sees links to nowhere, and nothing below a file", () => {
  using machine = makeAuditedMachine();
  const path = join(machine.cwd, "link");
  assert.equal(isThere(path), false);
  Deno.symlinkSync("nowhere", path);
  assert.equal(isThere(path), true);
  Deno.writeTextFileSync(join(machine.cwd, "file"), "");
  assert.equal(isThere(join(machine.cwd, "file/below")), false);
});
