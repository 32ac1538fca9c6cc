import assert from "node:assert/strict";
import { join } from "node:path";
import { main } from "#/cli/main.ts";
import { runAuditVerify } from "#/cli/audit_verify.ts";
import { runOxydra } from "../fixture/system.ts";
import { entriesIn, openLog, rechain } from "../sandbox/audit_kit.ts";
import { appendTurns, type AuditedMachine, makeAuditedMachine, makeBusyMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

const FIRST = "audit-000001.jsonl";

async function verify(machine: AuditedMachine, args: readonly string[] = []) {
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const code = await main(["audit", "verify", ...args], "1.2.3");
  return { code, out: realm.out(), err: realm.err() };
}

Deno.test("runAuditVerify() says that there is no log yet, and makes none", async () => {
  using machine = makeAuditedMachine();
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  assert.equal(await runAuditVerify({}), 0);
  assert.match(realm.out(), /^there is no audit log yet in .*\/audit\n$/);
  Deno.mkdirSync(machine.audit);
  assert.equal(await runAuditVerify({}), 0);
  assert.deepEqual([...Deno.readDirSync(machine.audit)], []);
});

Deno.test("runAuditVerify() says what it followed and compared", async () => {
  using machine = await makeBusyMachine(3);
  const text = await verify(machine);
  assert.deepEqual([text.code, text.err], [0, ""]);
  assert.match(
    text.out,
    /^✓ the audit log is whole: 7 entries in 1 segment, 3 heads of turns compared\n {2}head 7 [0-9a-f]{64}\n$/,
  );
  const { ok, entries, segments, headsCompared, head, broken } = JSON.parse((await verify(machine, ["--json"])).out);
  assert.deepEqual([ok, entries, segments, headsCompared, broken], [true, 7, 1, 3, undefined]);
  assert.deepEqual(head, machine.heads[2]);
});

Deno.test("runAuditVerify() names the first broken entry and exits with 1: a flipped byte, a cut tail, a chain made anew", async () => {
  const changes: readonly (readonly [RegExp, (path: string, dir: string) => void])[] = [
    [/broken at entry 4 \(audit-000001\.jsonl, line 4\): .* \[bad_hash\]\n {2}3 entries before it/, (path) => {
      Deno.writeTextFileSync(path, Deno.readTextFileSync(path).replace('"c1"', '"c2"'));
    }],
    [/broken at entry 6 .*: turn t2 names entry 7, .* \[tail_cut\]/, (path) => {
      Deno.writeTextFileSync(path, Deno.readTextFileSync(path).split(/(?<=\n)/).slice(0, 5).join(""));
    }],
    [/broken at entry 3 .*: turn t0 saw another entry 3: .* \[chain_rewritten\]/, (path, dir) => {
      Deno.writeTextFileSync(path, rechain(entriesIn(dir).map((entry) => ({ ...entry, user: "someone" }))));
    }],
    [
      /broken at entry 1 \(.*\/audit\): turn t0 names entry 3, and the log ends with entry 0 .* \[tail_cut\]|\[tail_cut\]/,
      (path) => {
        Deno.removeSync(path);
      },
    ],
  ];
  for (const [expected, change] of changes) {
    using machine = await makeBusyMachine(3);
    change(join(machine.audit, FIRST), machine.audit);
    const { code, out } = await verify(machine);
    assert.equal(code, 1, out);
    assert.match(out, expected);
    const report = JSON.parse((await verify(machine, ["--json"])).out);
    assert.equal(report.ok, false);
    assert.ok(expected.source.includes(report.broken.what));
  }
});

Deno.test("runAuditVerify() tells of half lines that were kept, and of one that no start has looked at yet", async () => {
  using machine = await makeBusyMachine(1);
  const path = join(machine.audit, FIRST);
  Deno.writeTextFileSync(path, '{"half', { append: true });
  const before = await verify(machine);
  assert.deepEqual([before.code, /half_line/.test(before.out)], [1, true]);
  openLog(machine.audit).close();
  const after = await verify(machine);
  assert.equal(after.code, 0);
  assert.match(after.out, /1 half line of crashes, kept and named/);
});

Deno.test("the command `audit verify` works while the event log is open for writing, after its writer was killed, and after a clean end", async () => {
  using machine = await makeBusyMachine(2);
  const options = { cwd: machine.cwd, env: { HOME: machine.home, NO_COLOR: "1" } };
  const check = async (what: string, heads: number) => {
    const { code, out, err } = await runOxydra(["audit", "verify"], options);
    assert.deepEqual([code, err], [0, ""], `${what}: ${out}`);
    assert.match(out, new RegExp(`${heads} heads of turns compared`), what);
  };
  await check("ended", 2);
  const audit = openLog(machine.audit);
  const log = await machine.openEvents();
  await appendTurns(log, [audit.head], "live");
  await check("live", 3);
  // What a killed writer leaves: the three files as they are now.
  const files = ["", "-wal", "-shm"].map((end) => join(machine.internal, `oxydra.db${end}`));
  const left = files.map((file) => Deno.readFileSync(file));
  await log.close();
  files.forEach((file, i) => Deno.writeFileSync(file, left[i]!));
  await check("killed", 3);
  const again = await machine.openEvents();
  await again.close();
  await check("ended again", 3);
  audit.close();
});

Deno.test("runAuditVerify() fails where heads cannot be read, whatever the chain says", async () => {
  using machine = await makeBusyMachine(2);
  Deno.writeTextFileSync(
    join(machine.internal, "oxydra.db"),
    "no database at all, but long enough to be looked at as one",
  );
  const { code, out } = await verify(machine);
  assert.equal(code, 1);
  assert.match(out, /✓ the audit log is whole: 5 entries[^]*✗ What turns saw of the audit log cannot be compared/);
  const report = JSON.parse((await verify(machine, ["--json"])).out);
  assert.deepEqual([report.ok, typeof report.headsTrouble], [false, "string"]);
});
