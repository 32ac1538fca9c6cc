import assert from "node:assert/strict";
import { join } from "node:path";
import {
  appendSegment,
  listSegments,
  openSegment,
  readSegment,
  SEGMENT_FLAGS,
  segmentName,
} from "#/sandbox/audit_segment.ts";
import { freshDir, openLog, writeLog } from "./audit_kit.ts";

Deno.test("segmentName() sorts by number", () => {
  assert.equal(segmentName(1), "audit-000001.jsonl");
  assert.equal(segmentName(123_456), "audit-123456.jsonl");
});

Deno.test("listSegments() finds the segments of a folder of ours, in order, and nothing else", () => {
  const dir = freshDir();
  Deno.mkdirSync(dir);
  for (const name of [segmentName(10), segmentName(2), "audit-1.jsonl", "audit-000003.jsonl.old", "notes"]) {
    Deno.writeTextFileSync(join(dir, name), "");
  }
  assert.deepEqual(listSegments(dir), [2, 10]);
  assert.throws(() => listSegments(join(dir, "notes")), { code: "audit_failed" });
});

Deno.test("openSegment() opens plain files of ours and waits for none", async () => {
  const dir = freshDir();
  Deno.mkdirSync(dir);
  const outside = join(dir, "outside");
  Deno.writeTextFileSync(outside, "x");
  const paths = [1, 2, 3, 4].map((segment) => join(dir, segmentName(segment)));
  Deno.symlinkSync(outside, paths[0]!);
  Deno.linkSync(outside, paths[1]!);
  assert.ok((await new Deno.Command("mkfifo", { args: [paths[2]!] }).output()).success);
  Deno.mkdirSync(paths[3]!);
  for (const segment of [1, 2, 3, 4]) {
    for (const how of Object.keys(SEGMENT_FLAGS) as (keyof typeof SEGMENT_FLAGS)[]) {
      assert.throws(() => openSegment(dir, segment, how), Error, `${segment} ${how}`);
    }
  }
  assert.equal(Deno.readTextFileSync(outside), "x");
  assert.throws(() => openSegment(dir, 5), { code: "ENOENT" });
});

Deno.test("openSegment() creates what is not there, and only that", () => {
  const dir = freshDir();
  Deno.mkdirSync(dir);
  openSegment(dir, 1, "create")[Symbol.dispose]();
  assert.throws(() => openSegment(dir, 1, "create"), { code: "EEXIST" });
  using file = openSegment(dir, 1, "append");
  assert.equal(file.size, 0);
  assert.equal(Deno.statSync(join(dir, segmentName(1))).mode! & 0o777, 0o600);
});

Deno.test("readSegment() reads a part, and as much of it as there is", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  const all = Deno.readFileSync(join(dir, segmentName(1)));
  using file = openSegment(dir, 1);
  assert.deepEqual(readSegment(file, 3, 10), all.subarray(3, 10));
  assert.deepEqual(readSegment(file, all.length - 2, all.length + 100), all.subarray(-2));
  assert.equal(readSegment(file, all.length, all.length + 1).length, 0);
});

Deno.test("appendSegment() appends to what it knows, and to nothing else", () => {
  const dir = freshDir();
  Deno.mkdirSync(dir);
  const path = join(dir, segmentName(1));
  const bytes = new TextEncoder().encode("abc");
  using file = openSegment(dir, 1, "append");
  appendSegment(file, 0, bytes);
  assert.throws(() => appendSegment(file, 0, bytes), /changed/);
  appendSegment(file, 3, bytes);
  assert.equal(Deno.readTextFileSync(path), "abcabc");
  Deno.linkSync(path, join(dir, "another"));
  assert.throws(() => appendSegment(file, 6, bytes), /changed/);
  assert.equal(Deno.readTextFileSync(path), "abcabc");
});

Deno.test("listSegments() and openSegment() refuse what belongs to someone else", () => {
  const dir = freshDir();
  writeLog(dir, 1);
  // Only root can give a file away; to everyone else a folder of root's is one.
  if (Deno.uid() !== 0) return assert.throws(() => listSegments("/usr"), { code: "audit_failed" });
  Deno.chownSync(join(dir, segmentName(1)), 65_534, null);
  assert.throws(() => openSegment(dir, 1), { code: "audit_failed" });
  assert.throws(() => openLog(dir), { code: "audit_failed" });
  Deno.chownSync(join(dir, segmentName(1)), 0, null);
  Deno.chownSync(dir, 65_534, null);
  assert.throws(() => listSegments(dir), { code: "audit_failed" });
  assert.throws(() => openLog(dir), { code: "audit_failed" });
});
