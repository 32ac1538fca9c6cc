import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { type AuditBreak, readLines, verifyAudit } from "#/sandbox/audit_verify.ts";
import {
  entriesIn,
  freshDir,
  load,
  openLog,
  rechain,
  segmentsIn,
  toKnown,
  toSegment,
  verify,
  writeLog,
} from "./audit_kit.ts";

const FIRST = "audit-000001.jsonl";
const encoder = new TextEncoder();

/** The first broken entry of a log of one segment. */
function brokenIn(text: string, heads: Parameters<typeof toKnown>[0] = []): AuditBreak | undefined {
  return verifyAudit([toSegment(FIRST, encoder.encode(text))], toKnown(heads)).broken;
}

function linesOf(pairs: number): string[] {
  const dir = freshDir();
  writeLog(dir, pairs);
  return Deno.readTextFileSync(join(dir, FIRST)).split(/(?<=\n)/);
}

Deno.test("verifyAudit() finds nothing in a whole log, and counts it", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 3);
  const verdict = verify(dir, [...heads, ...heads]);
  assert.deepEqual(verdict, { entries: 7, segments: 1, headsCompared: 6, tornLines: 0, firstSeq: 1, head: heads[2] });
  const none = verifyAudit([], []);
  assert.deepEqual([none.entries, none.segments, none.head.seq, none.broken], [0, 0, 0, undefined]);
});

Deno.test("verifyAudit() names the first broken entry: file, line, seq and what", () => {
  const lines = linesOf(3);
  const without = (...gone: number[]) => lines.filter((_, i) => !gone.includes(i)).join("");
  const cases: readonly (readonly [text: string, what: AuditBreak["what"], line: number, seq: number])[] = [
    [lines.join("").replace('"c1"', '"c9"'), "bad_hash", 4, 4],
    [without(2), "missing_seq", 3, 4],
    [without(2, 5), "missing_seq", 3, 4],
    [[lines[0], lines[2], lines[1], ...lines.slice(3)].join(""), "missing_seq", 2, 3],
    [[...lines.slice(0, 3), lines[2], ...lines.slice(3)].join(""), "missing_seq", 4, 3],
    [[...lines.slice(0, 3), "hello\n", ...lines.slice(3)].join(""), "unparsable", 4, 4],
    [[...lines.slice(0, 3), "\n", ...lines.slice(3)].join(""), "unparsable", 4, 4],
    [`${lines.join("")}x\n`, "unparsable", 8, 8],
    [`${lines.join("")}{}\n`, "bad_hash", 8, 8],
    [lines.join("").slice(0, -1), "half_line", 7, 7],
    [lines.join("").slice(0, -9), "half_line", 7, 7],
    [`${lines.join("")}${"x".repeat(LIMITS.auditTornBytesMax + 1)}\n`, "line_too_long", 8, 8],
    [without(0), "start_unexplained", 1, 2],
  ];
  for (const [text, what, line, seq] of cases) {
    const { why, ...broken } = brokenIn(text) ?? assert.fail(what);
    assert.deepEqual(broken, { file: FIRST, line, seq, what });
    assert.ok(why.length > 10);
  }
});

Deno.test("verifyAudit() sees an entry that does not follow the one before it", () => {
  const dir = freshDir();
  writeLog(dir, 3);
  const entries = entriesIn(dir);
  const lines = rechain(entries).split(/(?<=\n)/);
  const foreign = rechain(entries.map((entry, i) => i === 0 ? { ...entry, version: "9" } : entry)).split(/(?<=\n)/);
  const broken = brokenIn([...lines.slice(0, 3), ...foreign.slice(3)].join(""));
  assert.deepEqual([broken?.what, broken?.seq, broken?.line], ["wrong_prev", 4, 4]);
  const begun = brokenIn(rechain(entries).replace(/"prev":"0+"/, `"prev":"${"1".repeat(64)}"`));
  assert.equal(begun?.seq, 1);
});

Deno.test("verifyAudit() compares with the heads that turns name", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 3);
  const lines = Deno.readTextFileSync(join(dir, FIRST)).split(/(?<=\n)/);
  const cut = brokenIn(lines.slice(0, 5).join(""), heads);
  assert.deepEqual([cut?.what, cut?.seq], ["tail_cut", 6]);
  assert.match(cut!.why, /turn t2 .*entry 7.*ends with entry 5/);
  assert.equal(brokenIn(lines.slice(0, 5).join(""), heads.slice(0, 2)), undefined, "no turn knows of what was cut");
  const empty = brokenIn("", heads);
  assert.deepEqual([empty?.what, empty?.seq], ["tail_cut", 1]);
  const anew = brokenIn(rechain(entriesIn(dir).map((entry) => ({ ...entry, at: 5 }))), heads);
  assert.deepEqual([anew?.what, anew?.seq, anew?.line], ["chain_rewritten", 3, 3]);
  const two = verify(dir, [{ ...heads[1]!, sha256: "f".repeat(64) }, heads[1]!]).broken;
  assert.deepEqual([two?.what, two?.seq], ["chain_rewritten", 5], "turns that do not agree");
});

Deno.test("verifyAudit() sees a segment that is gone, wherever it was", () => {
  const dir = freshDir();
  const heads = writeLog(dir, 20, { segmentBytesMax: 2_000 });
  const all = load(dir);
  const without = (gone: number) => verifyAudit(all.filter((_, i) => i !== gone), toKnown(heads)).broken;
  for (let i = 1; i < all.length - 1; i++) {
    const broken = without(i);
    assert.deepEqual([broken?.what, broken?.file], ["missing_segment", all[i + 1]!.name]);
  }
  assert.equal(without(0)?.what, "start_unexplained");
  assert.equal(without(all.length - 1)?.what, "tail_cut");
  const renumbered = all.filter((_, i) => i !== 2).map((segment, i) => ({ ...segment, segment: i + 1 }));
  assert.equal(verifyAudit(renumbered, []).broken?.what, "missing_seq");
});

Deno.test("verifyAudit() believes a dropped beginning only where an entry names the first one that is left", () => {
  const dir = freshDir();
  const options = { segmentBytesMax: 2_000, bytesMax: LIMITS.auditEntryBytesMax + 10_000, keepMs: 0 };
  const heads = writeLog(dir, 60, options);
  const all = load(dir);
  const { broken, firstSeq } = verifyAudit(all, toKnown(heads));
  assert.deepEqual([broken, firstSeq], [undefined, entriesIn(dir)[0]!.seq]);
  assert.equal(verifyAudit(all, []).broken, undefined);
  assert.equal(verifyAudit(all.slice(1), []).broken?.what, "start_unexplained");
  assert.notEqual(segmentsIn(dir)[0], FIRST);
});

Deno.test("verifyAudit() lets only those half lines be that the next entry names", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  Deno.writeTextFileSync(join(dir, FIRST), '{"half\nof', { append: true });
  openLog(dir).close();
  const text = Deno.readTextFileSync(join(dir, FIRST));
  const at = text.indexOf('{"half');
  assert.equal(verify(dir).tornLines, 1);
  assert.equal(brokenIn(text.replace('{"half', '{"hald'))?.what, "unparsable");
  assert.equal(brokenIn(text.replace("half\nof", "halfof"))?.what, "unparsable");
  assert.equal(brokenIn(text.replace("of\n", "of\n\n"))?.what, "unparsable");
  const gone = brokenIn(text.slice(0, at) + text.slice(text.indexOf("of\n") + 3));
  assert.deepEqual([gone?.what, gone?.line, gone?.seq], ["torn_gone", 4, 4]);
  const long = "x".repeat(LIMITS.auditTornBytesMax / 2) + "\n";
  assert.equal(brokenIn(text.slice(0, at) + long + long + text.slice(at))?.line, 4);
});

Deno.test("verifyAudit() reads no further than the first broken entry", () => {
  const lines = linesOf(2);
  let read = 0;
  const chunks = function* () {
    for (const line of ["{}\n", ...lines]) {
      read++;
      yield encoder.encode(line);
    }
  };
  const segment = (n: number) => ({ segment: n, name: "x", chunks: chunks() });
  assert.equal(verifyAudit([segment(1), segment(2)], []).segments, 1);
  assert.equal(read, 1);
});

Deno.test("readLines() gives every line however the chunks fall, and cuts one that is too long", () => {
  const text = encoder.encode("a\n\nbcd\nef");
  for (let size = 1; size <= text.length; size++) {
    const got: string[] = [];
    const all = readLines(toSegment("1", text, size).chunks, 3, (line, kind) => {
      got.push(`${kind}:${new TextDecoder().decode(line)}`);
      return true;
    });
    assert.deepEqual([all, got], [true, ["whole:a", "whole:", "whole:bcd", "unended:ef"]]);
  }
  const cut: string[] = [];
  const all = readLines(toSegment("1", text, 4).chunks, 2, (line, kind) => {
    cut.push(`${kind}:${new TextDecoder().decode(line)}`);
    return true;
  });
  assert.deepEqual([all, cut], [false, ["whole:a", "whole:", "too_long:bc"]]);
});
