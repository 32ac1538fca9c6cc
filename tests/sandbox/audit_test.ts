import assert from "node:assert/strict";
import { join } from "node:path";
import type { AuditFields } from "#/core/audit.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Of, toChainedLine } from "#/lib/chained_line.ts";
import { AUDIT_ROOT } from "#/sandbox/audit.ts";
import {
  decisionOf,
  entriesIn,
  freshDir,
  load,
  OPENED,
  openLog,
  outcomeOf,
  segmentsIn,
  verify,
  writeLog,
} from "./audit_kit.ts";

const FIRST = "audit-000001.jsonl";

Deno.test("openAudit() notes the start and chains every entry to the one before it", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  assert.equal(audit.head.seq, 1);
  const decided = audit.append("decision", decisionOf());
  const ended = audit.append("outcome", outcomeOf({ readBytes: 18 }));
  assert.deepEqual(audit.head, ended);
  audit.close();
  const [opened, decision, outcome] = entriesIn(dir);
  const own = { v: 1, seq: 1, at: 1_700_000_000_001, kind: "opened", from: "runner", prev: AUDIT_ROOT.sha256 };
  assert.deepEqual(opened, { ...own, ...OPENED, sha256: opened!.sha256 });
  const { sha256, ...rest } = decision!;
  const expected = { v: 1, seq: 2, at: 1_700_000_000_002, kind: "decision", from: "runner", prev: opened!.sha256 };
  assert.deepEqual(rest, { ...expected, ...decisionOf() });
  assert.equal(sha256, toChainedLine(rest).sha256);
  assert.deepEqual(decided, { seq: 2, sha256 });
  assert.deepEqual([outcome!.prev, outcome!.readBytes], [sha256, 18]);
});

Deno.test("openAudit() goes on where the last start ended", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 2);
  const audit = openLog(dir);
  assert.equal(audit.head.seq, 6);
  audit.close();
  assert.deepEqual(entriesIn(dir).map(({ kind }) => kind), [
    "opened",
    "decision",
    "outcome",
    "decision",
    "outcome",
    "opened",
  ]);
  assert.equal(entriesIn(dir)[5]!.prev, heads[1]!.sha256);
  assert.deepEqual(verify(dir, heads), {
    entries: 6,
    segments: 1,
    headsCompared: 2,
    tornLines: 0,
    firstSeq: 1,
    head: audit.head,
  });
});

Deno.test("openAudit() keeps folder and files to their owner", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  const modes = () => [dir, join(dir, FIRST)].map((path) => Deno.statSync(path).mode! & 0o777);
  assert.deepEqual(modes(), [0o700, 0o600]);
  Deno.chmodSync(dir, 0o755);
  Deno.chmodSync(join(dir, FIRST), 0o644);
  writeLog(dir, 1);
  assert.deepEqual(modes(), [0o700, 0o600]);
});

Deno.test("openAudit() writes names, hashes and sizes, and nothing else that a caller hands over", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  const canary = "CANARY-7f3a";
  const loose = { args: { path: canary }, text: canary, output: canary, content: canary, prev: canary, line: canary };
  const tool = { ...decisionOf().tool, args: canary, env: { [canary]: canary } };
  audit.append("decision", { ...decisionOf({ tool }), ...loose } as AuditFields["decision"]);
  audit.append("outcome", { ...outcomeOf({ tool }), ...loose } as AuditFields["outcome"]);
  audit.append("approval", { state: "asked", card: canary, ...loose } as AuditFields["approval"]);
  audit.close();
  for (const name of segmentsIn(dir)) assert.ok(!Deno.readTextFileSync(join(dir, name)).includes("CANARY"));
  assert.equal(verify(dir).entries, 4);
});

Deno.test("openAudit() marks what comes from the guest, and only that", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  audit.append("notice", { from: "guest", code: "sender_unknown", subject: "telegram:1" });
  audit.append("notice", { from: "runner", code: "stopped" });
  audit.append("decision", { ...decisionOf(), from: "guest" } as AuditFields["decision"]);
  audit.close();
  assert.deepEqual(entriesIn(dir).map(({ from }) => from), ["runner", "guest", "runner", "runner"]);
});

Deno.test("openAudit() bounds every text and makes it printable", () => {
  const dir = freshDir();
  const max = LIMITS.auditFieldCharsMax;
  const audit = openLog(dir);
  audit.append(
    "decision",
    decisionOf({
      callId: "x".repeat(max),
      turn: "x".repeat(max + 1),
      session: "x".repeat(50_000_000),
      source: "\u0000\u001b[2J\u202e",
      agent: ["a\nb", "\u001b".repeat(max)],
      capabilities: ["\u001b]0;title\u0007"],
    }),
  );
  audit.close();
  const { callId, turn, session, source, agent, capabilities } = entriesIn(
    dir,
  )[1] as unknown as AuditFields["decision"];
  assert.equal(callId, "x".repeat(max));
  assert.equal(turn, `${"x".repeat(max - 1)}…`);
  assert.equal(session, turn);
  assert.equal(source, "\\x00\\x1b[2J\\u202e");
  assert.deepEqual(capabilities, ["\\x1b]0;title\\x07"]);
  assert.deepEqual([agent![0], agent![1]!.length], ["a\nb", max]);
  assert.equal(Deno.readTextFileSync(join(dir, FIRST)).split("\n").length, 3);
});

Deno.test("openAudit() refuses an entry over its bound and takes the next one", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  const one = "x".repeat(1_000);
  const bytesWith = (count: number, rest: number) => {
    const entry = { ...decisionOf({ capabilities: [...Array(count).fill(one), "x".repeat(rest)] }) };
    const { line } = toChainedLine({
      ...entry,
      v: 1,
      seq: 2,
      at: 1_700_000_000_002,
      kind: "decision",
      from: "runner",
      prev: "0".repeat(64),
    });
    return { fields: entry, bytes: line.length + 1 };
  };
  const count = 64;
  const rest = LIMITS.auditEntryBytesMax - bytesWith(count, 0).bytes;
  assert.ok(rest > 0 && rest < LIMITS.auditFieldCharsMax, `${rest}`);
  assert.throws(() => audit.append("decision", bytesWith(count, rest + 1).fields), { code: "audit_failed" });
  assert.equal(audit.append("decision", { ...bytesWith(count, rest).fields }).seq, 2);
  audit.close();
  assert.equal(verify(dir).entries, 2);
});

Deno.test("openAudit() begins a segment at its bound, and the chain goes through all of them", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 20, { segmentBytesMax: 2_000 });
  const names = segmentsIn(dir);
  assert.ok(names.length > 5, names.join());
  for (const name of names) {
    const { size } = Deno.statSync(join(dir, name));
    assert.ok(size < 2_000 + 1_000, `${name} has ${size} bytes`);
    if (name !== names.at(-1)) assert.ok(size >= 2_000);
  }
  const rotated = entriesIn(dir).filter(({ kind }) => kind === "rotated");
  assert.deepEqual(rotated.map(({ segment }) => segment), names.slice(0, -1));
  const verdict = verify(dir, heads);
  assert.deepEqual([verdict.broken, verdict.segments, verdict.headsCompared], [undefined, names.length, 20]);
  const again = openLog(dir, { segmentBytesMax: 2_000 });
  again.close();
  assert.equal(verify(dir, [...heads, again.head]).broken, undefined);
});

Deno.test("openAudit() drops the oldest segments beyond its bound, says so, and what is left still proves itself", () => {
  const dir = freshDir();
  const options = { segmentBytesMax: 2_000, bytesMax: LIMITS.auditEntryBytesMax + 10_000, keepMs: 0 };
  const heads = writeLog(dir, 60, options);
  const names = segmentsIn(dir);
  assert.ok(names.length >= 3 && names.length <= 5 && names[0] !== FIRST, names.join());
  const bytes = names.reduce((sum, name) => sum + Deno.statSync(join(dir, name)).size, 0);
  assert.ok(bytes <= options.bytesMax);
  const [first, ...rest] = entriesIn(dir);
  const dropped = rest.findLast(({ kind }) => kind === "dropped")!;
  assert.deepEqual([dropped.firstSeq, dropped.firstSha256], [first!.seq, first!.sha256]);
  const verdict = verify(dir, heads);
  assert.equal(verdict.broken, undefined);
  assert.ok(verdict.headsCompared > 0 && verdict.headsCompared < 20);
});

Deno.test("openAudit() says of each segment that it goes, before it goes", () => {
  const dir = freshDir();
  writeLog(dir, 40, { segmentBytesMax: 2_000 });
  const before = segmentsIn(dir);
  const bytesMax = LIMITS.auditEntryBytesMax + 10_000;
  openLog(dir, { segmentBytesMax: 1, bytesMax, keepMs: 0, now: () => 2_000_000_000_000 }).close();
  const dropped = entriesIn(dir).filter(({ kind }) => kind === "dropped").map(({ lastSegment }) => lastSegment);
  assert.ok(dropped.length > 5, dropped.join());
  assert.deepEqual([...dropped, ...segmentsIn(dir).slice(0, -1)], before);
  assert.equal(verify(dir).broken, undefined);
});

Deno.test("openAudit() drops nothing young: a flood of calls fills the log, and then nothing runs", () => {
  const dir = freshDir();
  let now = 1_000;
  const keepMs = 500;
  const options = { segmentBytesMax: 2_000, bytesMax: LIMITS.auditEntryBytesMax + 10_000, keepMs, now: () => now };
  const audit = openLog(dir, options);
  const flood = () => {
    for (let i = 0; i < 100; i++) audit.append("decision", decisionOf());
  };
  assert.throws(flood, { code: "audit_failed", message: /is full/ });
  const { entries } = verify(dir);
  assert.throws(flood, { code: "audit_failed" });
  assert.equal(verify(dir).entries, entries);
  now += keepMs - 1;
  assert.throws(flood, { code: "audit_failed" });
  now += 1;
  audit.append("decision", decisionOf());
  assert.ok(!segmentsIn(dir).includes(FIRST));
  audit.close();
  assert.equal(verify(dir).broken, undefined);
});

Deno.test("openAudit() keeps the half line of a crash where it is, and the next entry names it", () => {
  const whole = freshDir();
  writeLog(whole, 1);
  const bytes = Deno.readFileSync(join(whole, FIRST));
  const lastLine = bytes.lastIndexOf(10, bytes.length - 2) + 1;
  for (let cut = lastLine; cut < bytes.length; cut++) {
    const dir = freshDir();
    Deno.mkdirSync(dir);
    Deno.writeFileSync(join(dir, FIRST), bytes.subarray(0, cut));
    const audit = openLog(dir);
    audit.append("decision", decisionOf());
    audit.close();
    const torn = bytes.subarray(lastLine, cut);
    // Without its newline alone it is a whole entry.
    const isWhole = cut === bytes.length - 1;
    const named = isWhole || torn.length === 0 ? undefined : { bytes: torn.length, sha256: sha256Of(torn) };
    const after = Deno.readFileSync(join(dir, FIRST));
    assert.deepEqual(after.subarray(0, cut), bytes.subarray(0, cut), "nothing is deleted");
    const last = JSON.parse(new TextDecoder().decode(after).trimEnd().split("\n").at(-2)!);
    assert.deepEqual([last.kind, last.seq, last.torn], ["opened", isWhole ? 4 : 3, named], `cut at ${cut}`);
    const verdict = verify(dir, [audit.head]);
    assert.deepEqual([verdict.broken, verdict.tornLines], [undefined, named === undefined ? 0 : 1], `cut at ${cut}`);
  }
});

Deno.test("openAudit() mends a crash that came while it mended", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  const path = join(dir, FIRST);
  for (const left of ['{"half', '\n{"half of the entry that names it', "\n", "\u0000".repeat(5_000)]) {
    Deno.writeFileSync(path, new TextEncoder().encode(left), { append: true });
  }
  const audit = openLog(dir);
  audit.close();
  const verdict = verify(dir, [audit.head]);
  assert.deepEqual([verdict.broken, verdict.tornLines, verdict.entries], [undefined, 1, 4]);
});

Deno.test("openAudit() goes on after a crash between a new segment and its first entry", () => {
  for (const left of ["", '{"at":17', "x\n"]) {
    const dir = freshDir();
    const heads = writeLog(dir, 2);
    Deno.writeTextFileSync(join(dir, "audit-000002.jsonl"), left);
    const audit = openLog(dir);
    audit.close();
    const kinds = entriesIn(dir).map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(-2), ["rotated", "opened"]);
    const verdict = verify(dir, [...heads, audit.head]);
    assert.deepEqual([verdict.broken, verdict.segments, verdict.tornLines], [undefined, 2, left === "" ? 0 : 1]);
  }
});

Deno.test("openAudit() refuses to go on from an end that is JSON and not ours, and from too much that is nothing", () => {
  const path = (dir: string) => join(dir, FIRST);
  for (const left of ["{}\n", '{"seq":4}', "1\n", "x".repeat(LIMITS.auditTornBytesMax)]) {
    const dir = freshDir();
    writeLog(dir, 1);
    Deno.writeTextFileSync(path(dir), left, { append: true });
    const before = Deno.readFileSync(path(dir));
    assert.throws(() => openLog(dir), { code: "audit_failed", message: /damaged/ });
    assert.deepEqual(Deno.readFileSync(path(dir)), before);
  }
  const dir = freshDir();
  writeLog(dir, 1);
  const line = Deno.readTextFileSync(path(dir)).split("\n")[2]!;
  // The last entry and its newline have to lie within the bound, too.
  Deno.writeTextFileSync(path(dir), "x".repeat(LIMITS.auditTornBytesMax - line.length - 2), { append: true });
  openLog(dir).close();
  assert.equal(verify(dir).tornLines, 1);
});

Deno.test("openAudit() writes nothing more into a file that someone else wrote to, cut or removed meanwhile", () => {
  const changes: ((path: string) => void)[] = [
    (path) => Deno.removeSync(path),
    (path) => Deno.truncateSync(path, 0),
    (path) => Deno.writeTextFileSync(path, "{}\n", { append: true }),
  ];
  for (const change of changes) {
    const dir = freshDir();
    const audit = openLog(dir);
    audit.append("decision", decisionOf());
    change(join(dir, FIRST));
    for (let i = 0; i < 3; i++) {
      assert.throws(() => audit.append("decision", decisionOf()), { code: "audit_failed" }, change.toString());
    }
    audit.close();
  }
});

Deno.test("openAudit() writes nothing after close()", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  audit.close();
  assert.throws(() => audit.append("decision", decisionOf()), { code: "audit_failed" });
  assert.equal(load(dir).length, 1);
  assert.equal(entriesIn(dir).length, 1);
});
