/** `oxydra backup` and `oxydra restore`, each with its real process. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runBackup } from "#/cli/backup.ts";
import { LogCopied, runLogCopy, toCopiedText, toStamp } from "#/cli/log_copy.ts";
import { main } from "#/cli/main.ts";
import { runRestore } from "#/cli/restore.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { planLogCopier } from "#/runner/plan_log_copier.ts";
import { thisProgram } from "../fixture/workspace.ts";
import { denoEnv } from "../fixture/system.ts";
import { DAMAGES, namesIn, textsOf } from "../memory/store_kit.ts";
import { type AuditedMachine, makeAuditedMachine, makeBusyMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

async function oxydra(machine: AuditedMachine, ...args: string[]) {
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const code = await main(args, "1.2.3");
  return { code, out: realm.out(), err: realm.err() };
}

const restOf = (machine: AuditedMachine) => namesIn(machine.cwd).filter((name) => name !== ".oxydra");

Deno.test("runBackup() writes one file of mode 0600, also while a gateway has the log, and nothing else", async () => {
  using machine = await makeBusyMachine(2);
  const log = await machine.openEvents();
  const { code, out, err } = await oxydra(machine, "backup", "b.db");
  await log.close();
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /\/b\.db: 1 session, 4 events, \d+ KB, schema \d+; every page was checked\n$/);
  assert.deepEqual(restOf(machine), ["b.db"]);
  assert.equal(Deno.statSync(join(machine.cwd, "b.db")).mode! & 0o777, 0o600);
  const named = await oxydra(machine, "backup", "--json");
  const { path, ...facts } = JSON.parse(named.out);
  assert.match(path, /\/oxydra-default-\d{8}-\d{6}\.\d{3}\.db$/);
  assert.deepEqual([facts.sessions, facts.events, facts.bytes], [1, 4, Deno.statSync(path).size]);
});

Deno.test("runBackup() holds no token and no secret", async () => {
  using machine = await makeBusyMachine(1);
  const secrets = ["gateway-token-value", "sk-model-key"];
  Deno.writeTextFileSync(join(machine.internal, "gateway-token"), secrets[0]!);
  const env = { ...machine.env, OPENAI_API_KEY: secrets[1]! };
  await oxydra({ ...machine, env }, "backup", "b.db");
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(join(machine.cwd, "b.db")));
  assert.ok(text.includes("hello"));
  for (const secret of secrets) assert.ok(!text.includes(secret), secret);
});

Deno.test("runBackup() writes over nothing unless it is told to, and nowhere that an agent can reach", async () => {
  using machine = await makeBusyMachine(1);
  Deno.writeTextFileSync(join(machine.cwd, "b.db"), "precious");
  const refused = await oxydra(machine, "backup", "b.db");
  assert.equal(refused.code, 2);
  assert.match(refused.err, /b\.db is there already; --force/);
  assert.equal(Deno.readTextFileSync(join(machine.cwd, "b.db")), "precious");
  assert.equal((await oxydra(machine, "backup", "b.db", "--force")).code, 0);
  assert.equal(textsOf(join(machine.cwd, "b.db")).length, 2);
  for (const place of ["shared", "internal", "tmp", "vault"]) {
    Deno.mkdirSync(join(machine.internal, "..", place), { recursive: true });
    const { code, err } = await oxydra(machine, "backup", join(machine.internal, "..", place, "b.db"));
    assert.equal(code, 2, place);
    assert.match(err, /is in the workspace, where an agent could reach it/, place);
  }
  Deno.symlinkSync(join(machine.internal, "../shared"), join(machine.cwd, "link"));
  assert.equal((await oxydra(machine, "backup", "link/b.db")).code, 2);
  assert.match((await oxydra(machine, "backup", "absent/b.db")).err, /no backup can be written to/);
  assert.deepEqual(restOf(machine), ["b.db", "link"]);
});

Deno.test("runBackup() leaves nothing behind when there is no log, or a damaged one", async () => {
  using machine = makeAuditedMachine();
  assert.match((await oxydra(machine, "backup", "b.db")).err, /there is no oxydra\.db/);
  Deno.writeTextFileSync(join(machine.internal, "oxydra.db"), "no database".repeat(999));
  const { code, err } = await oxydra(machine, "backup", "b.db");
  assert.equal(code, 1);
  assert.match(err, /oxydra\.db is damaged/);
  assert.deepEqual(restOf(machine), []);
});

Deno.test("runRestore() brings back what was backed up, says where the other log is, and refuses while a gateway runs", async () => {
  using machine = await makeBusyMachine(2);
  await oxydra(machine, "backup", "b.db");
  const log = await machine.openEvents();
  await log.append("s", "later", [{ type: "user_message", v: 1, payload: { text: "later", channel: "x" } }], {
    durability: "full",
  });
  const path = join(machine.internal, "oxydra.db");
  const held = await oxydra(machine, "restore", "b.db");
  assert.match(held.err, /open in another process/);
  await log.close();
  const run = join(machine.internal, "../run");
  const lock = acquireRunnerLock(run, Date.now())!;
  const refused = await oxydra(machine, "restore", "b.db");
  lock.release();
  assert.match(refused.err, /the gateway of this workspace runs/);
  assert.deepEqual([held.code, refused.code, textsOf(path).length], [2, 2, 5]);
  const { code, out } = await oxydra(machine, "restore", "b.db");
  assert.equal(code, 0);
  const replaced = /what was there is kept at (.+)\n/.exec(out)![1]!;
  assert.deepEqual([textsOf(path).length, textsOf(replaced).length, textsOf(replaced).at(-1)], [4, 5, "later"]);
  const again = JSON.parse((await oxydra(machine, "restore", replaced, "--json")).out);
  assert.deepEqual([again.events, textsOf(path).at(-1)], [5, "later"]);
});

Deno.test("runRestore() refuses what is no whole backup, says what to do, and leaves every byte of the log", async () => {
  using machine = await makeBusyMachine(2);
  await oxydra(machine, "backup", "b.db");
  const path = join(machine.internal, "oxydra.db");
  const [whole, log] = [Deno.readFileSync(join(machine.cwd, "b.db")), Deno.readFileSync(path)];
  for (const [what, damage, , message] of DAMAGES.slice(0, 3).concat(DAMAGES.slice(-6))) {
    Deno.writeFileSync(join(machine.cwd, "b.db"), whole);
    damage(join(machine.cwd, "b.db"));
    const { code, err } = await oxydra(machine, "restore", "b.db");
    assert.equal(code, 1, what);
    assert.match(err, message, what);
    assert.match(err, /nothing was changed/, what);
    assert.deepEqual(Deno.readFileSync(path), log, what);
  }
  Deno.writeTextFileSync(join(machine.cwd, "b.db-wal"), "x");
  for (
    const [file, message] of [["b.db", /is in use/], ["absent", /there is no/], [".", /is no file/], [
      path,
      /is the event log itself/,
    ]] as const
  ) {
    const { code, err } = await oxydra(machine, "restore", file);
    assert.equal(code, 2, file);
    assert.match(err, message, file);
  }
  assert.deepEqual(Deno.readFileSync(path), log);
});

Deno.test("runBackup() and runRestore() say of a remote store who keeps copies of it, and touch nothing", async () => {
  using machine = await makeBusyMachine(1);
  Deno.mkdirSync(join(machine.home, ".config/oxydra"), { recursive: true });
  Deno.writeTextFileSync(
    join(machine.home, ".config/oxydra/agent.toml"),
    '[memory]\nremote_url = "libsql://db.example"\nauth_token = "hush"\n',
  );
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const message = /the event log is in the remote store db\.example:443 .*service/;
  await assert.rejects(runBackup("b.db", {}), { code: "usage", message });
  await assert.rejects(runRestore("b.db", {}), { code: "usage", message });
  assert.deepEqual([restOf(machine), realm.out()], [[], ""]);
});

Deno.test("runLogCopy() takes an answer for what it is: none, nonsense and one that never comes are errors", async () => {
  using machine = await makeBusyMachine(1);
  const base = { program: thisProgram(), env: denoEnv(), internalDir: machine.internal };
  const scratchDir = Deno.makeTempDirSync({ dir: machine.cwd });
  const copied = await runLogCopy({ ...base, copy: { what: "backup", scratchDir } });
  assert.equal(copied.events, 2);
  const copy = { what: "backup", scratchDir: Deno.makeTempDirSync({ dir: machine.cwd }) } as const;
  const late = /its process ended without an answer/;
  await assert.rejects(runLogCopy({ ...base, copy }, 0), { code: "store_failed", message: late });
  const program = { ...base.program, denoPath: "/bin/echo", setprivPath: null };
  await assert.rejects(runLogCopy({ ...base, program, copy }), { code: "store_failed", message: late });
  assert.ok(!LogCopied.safeParse({ ...copied, events: -1 }).success);
});

Deno.test("toCopiedText() and toStamp() are for people and for names of files", () => {
  const copied = { bytes: 1_234, schema: 2, sessions: 1, events: 2 };
  assert.equal(toCopiedText(copied), "1 session, 2 events, 2 KB, schema 2; every page was checked");
  assert.match(toCopiedText({ ...copied, bytes: 12_345_678 }), /12\.3 MB/);
  assert.equal(toStamp(Date.UTC(2030, 0, 2, 3, 4, 5, 6)), "20300102-030405.006");
});

Deno.test("src/cli/log_copier.ts has no permission but those of its plan", async () => {
  using machine = await makeBusyMachine(1);
  const scratchDir = Deno.makeTempDirSync({ dir: machine.cwd });
  const plan = planLogCopier({
    program: thisProgram(),
    env: denoEnv(),
    internalDir: machine.internal,
    copy: { what: "backup", scratchDir },
  });
  const outside = [join(machine.cwd, "b.db"), join(machine.internal, "b.db")];
  for (const path of outside) {
    const command = new Deno.Command(plan.command, {
      args: [...plan.args.slice(0, -1), path],
      env: { ...plan.env },
      clearEnv: true,
    });
    const { stdout } = await command.output();
    assert.doesNotMatch(new TextDecoder().decode(stdout), /done/, path);
    assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
  }
});
