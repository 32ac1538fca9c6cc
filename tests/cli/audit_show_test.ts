import assert from "node:assert/strict";
import { join } from "node:path";
import type { AuditFields } from "#/core/audit.ts";
import { LIMITS } from "#/core/limits.ts";
import { main } from "#/cli/main.ts";
import { runAuditShow } from "#/cli/audit_show.ts";
import { runOxydra } from "../fixture/system.ts";
import { decisionOf, entriesIn, freshDir, openLog, outcomeOf, rechain, writeLog } from "../sandbox/audit_kit.ts";
import { type AuditedMachine, makeAuditedMachine } from "./audit_kit.ts";
import { enterRealm } from "./realm.ts";

const FIRST = "audit-000001.jsonl";

async function show(machine: AuditedMachine, args: readonly string[] = []) {
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  const code = await main(["audit", "show", ...args], "1.2.3");
  const rows = realm.out().split("\n").filter((row) => row !== "");
  return { code, rows, err: realm.err() };
}

/** One entry of each kind. */
function makeTalkingMachine(): AuditedMachine {
  const machine = makeAuditedMachine();
  const audit = openLog(machine.audit);
  audit.append("decision", decisionOf({ capabilities: ["fs.read /shared/a.txt", "secret web_search"] }));
  audit.append("outcome", outcomeOf());
  const tool = { ...decisionOf().tool, name: "file_delete" };
  const denied = {
    tool,
    turn: "t2",
    session: "other",
    decision: "denied",
    source: "none",
    capabilities: ["fs.write /vault/x"],
  } as const;
  audit.append("decision", decisionOf(denied));
  audit.append("approval", { state: "answered", answer: "once", by: "owner", turn: "t3", tool });
  audit.append("notice", { from: "guest", code: "sender_unknown", subject: "telegram:7" });
  audit.close();
  return machine;
}

Deno.test("runAuditShow() prints one readable line an entry, the oldest first, in local time", async () => {
  using machine = makeTalkingMachine();
  const { code, rows, err } = await show(machine);
  assert.deepEqual([code, err, rows.length], [0, "", 6]);
  const words = rows.map((row) => row.split(/ {2,}/).slice(1).join(" | "));
  assert.deepEqual(words, [
    `1 | opened | oxydra 1.2.3 | policy ${"d".repeat(12)}`,
    "2 | decision | granted | file_read | fs.read /shared/a.txt, secret web_search | by default:fs.read | session runtime-default | turn t1 | call c1",
    "3 | outcome | ok | file_read | 18 bytes out | 4 ms | session runtime-default | turn t1 | call c1",
    "4 | decision | denied | file_delete | fs.write /vault/x | by none | session other | turn t2 | call c1",
    "5 | approval | answered | once | by owner | file_delete | turn t3",
    "6 | notice | from guest | sender_unknown | telegram:7",
  ]);
  for (const [i, row] of rows.entries()) {
    const [time] = row.split(" ");
    assert.match(time!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/);
    assert.equal(Date.parse(time!), 1_700_000_000_001 + i);
  }
});

Deno.test("the command `audit show` prints times of the zone that the machine is in", async () => {
  using machine = makeTalkingMachine();
  for (
    const [TZ, time] of [["Asia/Kolkata", "2023-11-15T03:43:20.001+05:30"], [
      "America/New_York",
      "2023-11-14T17:13:20.001-05:00",
    ]]
  ) {
    const { code, out } = await runOxydra(["audit", "show"], {
      cwd: machine.cwd,
      env: { HOME: machine.home, TZ: TZ! },
    });
    assert.deepEqual([code, out.slice(0, time!.length)], [0, time]);
  }
});

Deno.test("runAuditShow() shows of a turn, a session, a tool, what was refused, and the newest", async () => {
  using machine = makeTalkingMachine();
  const seqs = async (...args: readonly string[]) =>
    (await show(machine, [...args, "--json"])).rows.map((row) => JSON.parse(row).seq);
  assert.deepEqual(await seqs(), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(await seqs("--turn", "t1"), [2, 3]);
  assert.deepEqual(await seqs("--session", "other"), [4]);
  assert.deepEqual(await seqs("--tool", "file_delete"), [4, 5]);
  assert.deepEqual(await seqs("--denied"), [4]);
  assert.deepEqual(await seqs("--last", "2"), [5, 6]);
  assert.deepEqual(await seqs("--turn", "t1", "--last", "1"), [3]);
  assert.deepEqual(await seqs("--turn", "t1", "--tool", "file_delete"), []);
  assert.deepEqual((await show(machine, ["--turn", "nobody"])).rows, ["none of 6 entries"]);
});

Deno.test("runAuditShow() with --json prints the entries as they are", async () => {
  using machine = makeTalkingMachine();
  const { rows } = await show(machine, ["--json"]);
  assert.deepEqual(rows.map((row) => JSON.parse(row)), entriesIn(machine.audit));
});

Deno.test("runAuditShow() says that there is no log yet, and refuses a number that is none", async () => {
  using machine = makeAuditedMachine();
  assert.match((await show(machine)).rows.join(), /^there is no audit log yet in \//);
  assert.deepEqual((await show(machine, ["--json"])).rows, []);
  for (const last of ["0", "-1", "1.5", "x", "", "1e2", String(LIMITS.auditShownMax + 1)]) {
    const { code, rows } = await show(machine, [`--last=${last}`]);
    assert.deepEqual([code, rows], [2, []], last);
  }
  using realm = enterRealm({ cwd: machine.cwd, env: machine.env });
  assert.equal(await runAuditShow({ last: String(LIMITS.auditShownMax) }), 0);
  assert.equal(realm.err(), "");
});

Deno.test("runAuditShow() shows every segment, what rotation and dropping said, and the newest of many", async () => {
  using machine = makeAuditedMachine();
  writeLog(machine.audit, 60, { segmentBytesMax: 2_000, bytesMax: LIMITS.auditEntryBytesMax + 10_000, keepMs: 0 });
  const rows = (await show(machine, ["--last", "1000"])).rows.join("\n");
  assert.match(rows, / {2}rotated {3}after audit-0000\d\d\.jsonl/);
  assert.match(rows, / {2}dropped {3}older entries, up to audit-0000\d\d\.jsonl {2}the log begins with \d+/);
  const { rows: newest } = await show(machine, ["--last", "3", "--json"]);
  assert.deepEqual(newest.map((row) => JSON.parse(row)), entriesIn(machine.audit).slice(-3));
  using busy = makeAuditedMachine();
  writeLog(busy.audit, 60);
  assert.deepEqual((await show(busy, ["--json"])).rows.map((row) => JSON.parse(row)), entriesIn(busy.audit).slice(-50));
});

Deno.test("runAuditShow() shows what is no entry as what it is, and nothing that a log says moves the cursor", async () => {
  using machine = makeAuditedMachine();
  const source = freshDir();
  writeLog(source, 1);
  const evil = "\u001b[2J\u202eevil\u0007";
  const entry = { ...entriesIn(source)[1]!, kind: evil, source: evil, turn: evil, tool: { name: evil }, [evil]: evil };
  const odd = [
    { ...entry, kind: "decision", decision: { a: evil }, capabilities: [{}, evil], tool: null },
    { ...entry, kind: "outcome", at: 8_640_000_000_000_001, code: [evil] },
  ];
  Deno.mkdirSync(machine.audit);
  Deno.writeTextFileSync(join(machine.audit, FIRST), `${rechain([entry, ...odd])}{"half${evil}\n`);
  for (const args of [[], ["--json"]]) {
    const { code, rows } = await show(machine, args);
    assert.equal(code, 0);
    // deno-lint-ignore no-control-regex -- what must not be there
    assert.doesNotMatch(rows.join(""), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    assert.ok(rows.length === 4 && rows[3]!.includes("audit-000001.jsonl, line 4"), rows.join("\n"));
  }
});

Deno.test("runAuditShow() refuses a link for the folder", async () => {
  using machine = makeAuditedMachine();
  const outside = freshDir();
  writeLog(outside, 1);
  Deno.symlinkSync(outside, machine.audit);
  const { code, rows, err } = await show(machine);
  assert.deepEqual([code, rows], [1, []]);
  assert.match(err, /is no plain folder of yours/);
});

Deno.test("runAuditShow() says which entry follows a half line", async () => {
  using machine = makeTalkingMachine();
  Deno.writeTextFileSync(join(machine.audit, FIRST), "{", { append: true });
  openLog(machine.audit).close();
  const { rows } = await show(machine, ["--last", "2"]);
  assert.match(rows[0]!, /line 7 is no entry/);
  assert.match(rows[1]!, /opened .*after a half line of a crash$/);
  const fields: AuditFields["opened"] = { version: "1.2.3", policyDigest: "d".repeat(64) };
  assert.equal(entriesIn(machine.audit).at(-1)!.policyDigest, fields.policyDigest);
});
