/** Someone who can write to the audit folder while nobody looks, a machine that dies at any moment, and a guest that fills in the fields. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { AuditFields, AuditHead } from "#/core/audit.ts";
import { LIMITS } from "#/core/limits.ts";
import { readAuditSegments } from "#/cli/audit_log.ts";
import { toChainedLine } from "#/lib/chained_line.ts";
import { verifyAudit } from "#/sandbox/audit_verify.ts";
import { fromFileUrl } from "../fixture/source_tree.ts";
import {
  decisionOf,
  entriesIn,
  freshDir,
  openLog,
  outcomeOf,
  rechain,
  segmentsIn,
  toKnown,
  toSegment,
  verify,
  writeLog,
} from "../sandbox/audit_kit.ts";

const FIRST = "audit-000001.jsonl";

Deno.test("a flipped byte is found at every position, every bit of it, without any head", () => {
  const dir = freshDir();
  writeLog(dir, 2);
  const bytes = Deno.readFileSync(join(dir, FIRST));
  let tried = 0;
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      bytes[at]! ^= 1 << bit;
      const { broken } = verifyAudit([toSegment(FIRST, bytes, bytes.length)], []);
      assert.ok(broken !== undefined, `byte ${at}, bit ${bit}`);
      bytes[at]! ^= 1 << bit;
      tried++;
    }
  }
  assert.ok(tried > 10_000, `${tried}`);
  assert.equal(verifyAudit([toSegment(FIRST, bytes)], []).broken, undefined);
});

Deno.test("a removed byte, an added byte and a removed line are found at every position", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 2);
  const bytes = Deno.readFileSync(join(dir, FIRST));
  const broken = (content: Uint8Array) =>
    verifyAudit([toSegment(FIRST, content, content.length + 1)], toKnown(heads)).broken;
  for (let at = 0; at < bytes.length; at++) {
    assert.ok(broken(new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + 1)])), `without byte ${at}`);
    for (const added of [0x20, 0x0a, 0x22, 0x00]) {
      assert.ok(broken(new Uint8Array([...bytes.subarray(0, at), added, ...bytes.subarray(at)])), `${added} at ${at}`);
    }
  }
  const lines = new TextDecoder().decode(bytes).split(/(?<=\n)/);
  for (let i = 0; i < lines.length; i++) {
    assert.ok(broken(new TextEncoder().encode(lines.filter((_, at) => at !== i).join(""))), `without line ${i + 1}`);
  }
});

Deno.test("a cut tail is found thanks to the heads, wherever it was cut", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 3);
  const bytes = Deno.readFileSync(join(dir, FIRST));
  for (let end = 0; end < bytes.length; end++) {
    const cut = verifyAudit([toSegment(FIRST, bytes.subarray(0, end), bytes.length)], toKnown(heads)).broken;
    assert.ok(cut !== undefined, `cut at ${end}`);
  }
  // And it stays found when the runner went on since.
  const lines = new TextDecoder().decode(bytes).split(/(?<=\n)/);
  Deno.writeTextFileSync(join(dir, FIRST), lines.slice(0, 4).join(""));
  writeLog(dir, 5);
  assert.equal(verify(dir, heads).broken?.what, "chain_rewritten");
});

Deno.test("a chain made anew, all hashes right, is found thanks to the heads", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 4);
  const entries = entriesIn(dir);
  const forgeries = [
    entries.map((entry) => entry.kind === "decision" ? { ...entry, decision: "denied" } : entry),
    entries.filter(({ callId }) => callId !== "c1"),
    [...entries.slice(0, 3), entries[1]!, ...entries.slice(3)],
    entries.map((entry, i) => ({ ...entry, at: i })),
  ];
  for (const forgery of forgeries) {
    const text = new TextEncoder().encode(rechain(forgery));
    assert.equal(verifyAudit([toSegment(FIRST, text)], []).broken, undefined, "the chain alone says nothing");
    const { broken } = verifyAudit([toSegment(FIRST, text)], toKnown(heads));
    assert.ok(broken?.what === "chain_rewritten" || broken?.what === "tail_cut", `${broken?.what}`);
  }
});

Deno.test("inserted and swapped entries, and a deleted middle segment, are found without any head", () => {
  const dir = freshDir();
  writeLog(dir, 20, { segmentBytesMax: 2_000 });
  const middle = segmentsIn(dir)[3]!;
  Deno.removeSync(join(dir, middle));
  assert.equal(verify(dir).broken?.what, "missing_segment");
  const one = freshDir();
  writeLog(one, 3);
  const lines = Deno.readTextFileSync(join(one, FIRST)).split(/(?<=\n)/);
  for (let i = 0; i < lines.length; i++) {
    for (let j = 0; j < lines.length; j++) {
      if (i === j) continue;
      const swapped = lines.with(i, lines[j]!).with(j, lines[i]!);
      const inserted = lines.toSpliced(i, 0, lines[j]!);
      for (const forged of [swapped, inserted]) {
        const { broken } = verifyAudit([toSegment(FIRST, new TextEncoder().encode(forged.join("")))], []);
        assert.ok(broken !== undefined, `${i} and ${j}`);
      }
    }
  }
});

Deno.test("an entry made anew, its own hash right, is found by the entry after it, without any head", () => {
  const dir = freshDir();
  writeLog(dir, 3);
  const lines = Deno.readTextFileSync(join(dir, FIRST)).split(/(?<=\n)/);
  for (const [i, entry] of entriesIn(dir).slice(0, -1).entries()) {
    const forged = lines.with(i, `${toChainedLine({ ...entry, at: 1 }).line}\n`).join("");
    const { broken } = verifyAudit([toSegment(FIRST, new TextEncoder().encode(forged))], []);
    assert.deepEqual([broken?.what, broken?.line], ["wrong_prev", i + 2]);
  }
});

Deno.test("an old segment that someone deletes is no segment that went by rule", () => {
  const dir = freshDir();
  const options = { segmentBytesMax: 2_000, bytesMax: LIMITS.auditEntryBytesMax + 10_000, keepMs: 0 };
  writeLog(dir, 60, options);
  assert.equal(verify(dir).broken, undefined);
  Deno.removeSync(join(dir, segmentsIn(dir)[0]!));
  assert.equal(verify(dir).broken?.what, "start_unexplained");
});

Deno.test("a whole chain made anew that begins beyond all that turns know of is no log that lost its oldest by rule", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 4);
  const [rotated, ...rest] = entriesIn(dir).map((entry) => ({ ...entry, seq: entry.seq + 1_000 }));
  const first = toChainedLine({ ...rotated!, kind: "rotated" });
  let prev = first.sha256;
  const dropped = { kind: "dropped", firstSeq: 1_001, firstSha256: first.sha256 };
  const lines = rest.map((entry, i) => {
    const { line, sha256 } = toChainedLine({ ...entry, ...(i === 0 ? dropped : {}), prev });
    prev = sha256;
    return line;
  });
  const segment = toSegment("audit-000009.jsonl", new TextEncoder().encode(`${[first.line, ...lines].join("\n")}\n`));
  assert.equal(verifyAudit([segment], []).broken, undefined, "the chain alone says nothing");
  const { broken } = verifyAudit([segment], toKnown(heads));
  assert.deepEqual([broken?.what, broken?.seq, broken?.line], ["start_unexplained", 1_001, 1]);
});

Deno.test("a guest that names one entry a hundred thousand times costs no time", () => {
  const dir = freshDir();
  const [head] = writeLog(dir, 1);
  const many = Array.from({ length: LIMITS.auditHeadsMax }, () => head!);
  const startedAt = performance.now();
  const { broken, headsCompared } = verify(dir, many);
  assert.deepEqual([broken, headsCompared], [undefined, LIMITS.auditHeadsMax]);
  assert.ok(performance.now() - startedAt < 5_000);
});

Deno.test("a link, a pipe or a folder in the place of the log is refused, and what it leads to stays as it is", async () => {
  const outside = Deno.makeTempDirSync();
  const target = join(outside, "target");
  const pipe = async (path: string) => assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  const places: readonly (readonly [string, (dir: string) => void | Promise<void>])[] = [
    ["a link for the folder", (dir) => Deno.symlinkSync(outside, dir)],
    ["a link to nowhere for the folder", (dir) => Deno.symlinkSync(join(outside, "nowhere"), dir)],
    ["a file for the folder", (dir) => Deno.writeTextFileSync(dir, "")],
    ["a link for a segment", (dir) => (Deno.mkdirSync(dir), Deno.symlinkSync(target, join(dir, FIRST)))],
    [
      "a link to nowhere for a segment",
      (dir) => (Deno.mkdirSync(dir), Deno.symlinkSync(`${target}2`, join(dir, FIRST))),
    ],
    ["another name of a file", (dir) => (Deno.mkdirSync(dir), Deno.linkSync(target, join(dir, FIRST)))],
    ["a folder for a segment", (dir) => Deno.mkdirSync(join(dir, FIRST), { recursive: true })],
    ["a pipe for a segment", (dir) => (Deno.mkdirSync(dir), pipe(join(dir, FIRST)))],
  ];
  for (const [what, place] of places) {
    Deno.writeTextFileSync(target, "theirs");
    const dir = freshDir();
    await place(dir);
    assert.throws(() => openLog(dir), { code: "audit_failed" }, what);
    assert.equal(Deno.readTextFileSync(target), "theirs", what);
    assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name), ["target"], what);
    if (what.includes("nowhere for the folder")) continue;
    assert.throws(() => verifyAudit(readAuditSegments(dir), []), Error, `${what}, read`);
  }
});

Deno.test("a segment that becomes a link between two entries gets none of them", () => {
  const dir = freshDir();
  const outside = join(Deno.makeTempDirSync(), "target");
  Deno.writeTextFileSync(outside, "");
  const audit = openLog(dir, { segmentBytesMax: 2_000 });
  Deno.symlinkSync(outside, join(dir, "audit-000002.jsonl"));
  assert.throws(() => {
    for (let i = 0; i < 20; i++) audit.append("decision", decisionOf());
  }, { code: "audit_failed" });
  assert.equal(Deno.readTextFileSync(outside), "");
});

Deno.test("a line of 100 MB is found, and no more of it is read than an entry may have", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  {
    using file = Deno.openSync(join(dir, FIRST), { append: true });
    const piece = new Uint8Array(1_000_000).fill(0x78);
    for (let i = 0; i < 100; i++) file.writeSync(piece);
  }
  let read = 0;
  const counted = function* (chunks: Iterable<Uint8Array>) {
    for (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  };
  for (const { chunks, ...rest } of readAuditSegments(dir)) {
    const { broken } = verifyAudit([{ ...rest, chunks: counted(chunks) }], []);
    assert.deepEqual([broken?.what, broken?.line, broken?.seq], ["line_too_long", 4, 4]);
  }
  assert.ok(read > 0 && read <= LIMITS.auditTornBytesMax + 2 * LIMITS.chunkBytesMax, `${read} bytes`);
  assert.throws(() => openLog(dir), { code: "audit_failed", message: /damaged/ });
});

Deno.test("nothing that a guest puts into a field leaves its line, its length or the printable", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  const evil =
    '\u0000\u001b]52;c;QUFB\u0007\u001b[2J\r\n{"seq":1}\n\u202e\u2066\ud800"}\n{"v":1,"seq":2}\u0085\u009b31m';
  const huge = evil.repeat(100_000);
  for (const text of [evil, huge, "\ud83d".repeat(5_000), "😀".repeat(5_000)]) {
    const tool = { name: text, package: text, version: text, sha256: text };
    const call = { user: text, agent: [text, text], session: text, turn: text, callId: text, tool };
    audit.append("decision", decisionOf({ ...call, source: text, capabilities: [text], argsSha256: text }));
    audit.append("outcome", outcomeOf({ ...call, code: text as AuditFields["outcome"]["code"] }));
    audit.append("notice", { from: "guest", code: text, subject: text });
  }
  audit.close();
  const raw = Deno.readTextFileSync(join(dir, FIRST));
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.doesNotMatch(raw, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  assert.equal(raw.split("\n").length, 14);
  assert.deepEqual([verify(dir).broken, verify(dir).entries], [undefined, 13]);
  assert.ok(raw.split("\n").every((line) => line.length < 20 * LIMITS.auditFieldCharsMax));
  const guests = entriesIn(dir).filter(({ from }) => from === "guest");
  assert.equal(guests.length, 4);
});

Deno.test("a guest's list without end is refused, and so is the call", () => {
  const dir = freshDir();
  const audit = openLog(dir);
  const agent = Array.from({ length: 100_000 }, () => "a");
  assert.throws(() => audit.append("decision", decisionOf({ agent })), { code: "audit_failed" });
  audit.append("decision", decisionOf());
  audit.close();
  assert.equal(verify(dir).entries, 2);
});

Deno.test("a runner that is killed at random moments, 60 times, leaves a log that proves itself, and every head it gave out is in it", async () => {
  const dir = freshDir();
  const heads: AuditHead[] = [];
  for (let round = 1; round <= 60; round++) {
    const before = heads.length;
    heads.push(...await killAtRandom(dir, 1 + Math.random() * 6));
    assert.ok(heads.length > before, `the start after ${round - 1} kills was refused`);
    // The chain goes through all starts: what one of them left is looked at by each later look.
    if (round % 15 !== 0) continue;
    const { broken } = verify(dir, heads);
    assert.ok(broken === undefined || broken.what === "half_line", `${round}: ${JSON.stringify(broken)}`);
  }
  openLog(dir).close();
  const verdict = verify(dir, heads);
  assert.equal(verdict.broken, undefined);
  assert.equal(verdict.headsCompared, heads.length);
  assert.equal(entriesIn(dir).filter(({ kind }) => kind === "opened").length, 61);
  assert.equal(entriesIn(dir).filter(({ torn }) => torn !== undefined).length, verdict.tornLines);
});

Deno.test("a runner that is killed while it drops old segments leaves a beginning that an entry names", async () => {
  const dir = freshDir();
  const heads: AuditHead[] = [];
  for (let round = 1; round <= 20; round++) {
    heads.push(...await killAtRandom(dir, 1 + Math.random() * 20, "drop"));
    const { broken } = verify(dir, heads);
    assert.ok(broken === undefined || broken.what === "half_line", `${round}: ${JSON.stringify(broken)}`);
  }
  openLog(dir).close();
  const { broken, firstSeq, headsCompared } = verify(dir, heads);
  assert.equal(broken, undefined);
  assert.ok(firstSeq > 1 && headsCompared > 0 && headsCompared < heads.length);
});

/** The heads of calls that were whole when the runner died, `ms` after its first one. */
async function killAtRandom(dir: string, ms: number, ...rest: readonly string[]): Promise<AuditHead[]> {
  const entry = fromFileUrl(new URL("../fixture/auditing_runner.ts", import.meta.url));
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--no-check", "--cached-only", "--config", config, entry, dir, ...rest],
    stdout: "piped",
  }).spawn();
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    timer ??= setTimeout(() => child.kill("SIGKILL"), ms);
  }
  await child.status;
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

Deno.test("a full disk runs nothing, and the log goes on as soon as there is room", async () => {
  const dir = freshDir();
  const entry = fromFileUrl(new URL("../fixture/auditing_runner.ts", import.meta.url));
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  // The kernel's bound on the size of a file stands in for the disk's: the write that meets it is cut short, the next one fails.
  const script = `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`;
  const run = await new Deno.Command("sh", {
    args: [
      "-c",
      script,
      Deno.execPath(),
      "run",
      "-q",
      "-A",
      "--no-check",
      "--cached-only",
      "--config",
      config,
      entry,
      dir,
    ],
  }).output();
  assert.notEqual(run.code, 0);
  assert.match(new TextDecoder().decode(run.stderr), /The audit log cannot be written, so nothing runs/);
  const heads = new TextDecoder().decode(run.stdout).split("\n").slice(0, -1).map((line) => JSON.parse(line));
  const { broken, entries } = verify(dir, heads);
  assert.deepEqual([broken, entries >= heads.length], [undefined, true]);
  const audit = openLog(dir);
  audit.append("decision", decisionOf());
  audit.close();
  assert.equal(verify(dir, [...heads, audit.head]).broken, undefined);
});
