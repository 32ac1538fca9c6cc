import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { type Kept, openKept } from "#/sandbox/kept.ts";

function source(path: string, text: string, extra: { expectSha256?: string; bytes?: number } = {}) {
  const content = new TextEncoder().encode(text);
  return {
    path,
    bytes: content.length,
    ...extra,
    read(into: Uint8Array, offset: number) {
      const part = content.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
  };
}

async function open(dir: string, bytesMax?: number): Promise<Kept> {
  let at = 0;
  const kept = openKept({ dir, now: () => ++at, ...(bytesMax === undefined ? {} : { bytesMax }) });
  await kept.ready();
  return kept;
}

const names = (dir: string) => [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();

Deno.test("openKept() keeps content by its hash and finds it again after a restart", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const kept = await open(dir);
  const one = kept.keep(source("/shared/a", "eins"));
  kept.keep(source("/shared/b", "eins"));
  kept.keep(source("/shared/a", ""));
  const sha256 = await sha256Hex("eins");
  assert.deepEqual(one, { v: 1, at: 1, path: "/shared/a", sha256, bytes: 4 });
  assert.equal(Deno.readTextFileSync(join(dir, sha256)), "eins");
  assert.deepEqual(names(dir), [sha256, await sha256Hex(""), "index.jsonl"].sort());
  assert.equal(Deno.statSync(join(dir, sha256)).mode! & 0o777, 0o600);
  assert.deepEqual((await open(dir)).entries(), kept.entries());
});

Deno.test("openKept() keeps nothing when the content is not the expected one", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const kept = await open(dir);
  const expectSha256 = await sha256Hex("old");
  assert.throws(() => kept.keep(source("/shared/a", "new", { expectSha256 })), { code: "file_changed" });
  assert.deepEqual(names(dir), []);
  assert.equal(kept.keep(source("/shared/a", "old", { expectSha256 })).sha256, expectSha256);
});

Deno.test("openKept() refuses what is larger than its bound, also when it grew meanwhile, and holds at the bound", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const kept = await open(dir, 10);
  assert.throws(() => kept.keep(source("/shared/a", "x".repeat(11))), { code: "quota_exceeded" });
  assert.throws(() => kept.keep(source("/shared/a", "x".repeat(11), { bytes: 3 })), { code: "quota_exceeded" });
  assert.deepEqual(names(dir), []);
  assert.equal(kept.keep(source("/shared/a", "x".repeat(10))).bytes, 10);
});

Deno.test("openKept() drops the oldest first and stays within its bound", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const kept = await open(dir, 100);
  for (let i = 0; i < 30; i++) kept.keep(source(`/shared/${i}`, String(i).padStart(20, "x")));
  const paths = kept.entries().map((entry) => entry.path);
  assert.ok(paths.length >= 3 && paths.length <= 5);
  assert.deepEqual(paths, Array.from({ length: paths.length }, (_, i) => `/shared/${30 - paths.length + i}`));
  assert.equal(names(dir).length, paths.length + 1);
  assert.deepEqual((await open(dir, 100)).entries(), kept.entries());
});

Deno.test("openKept() bounds the number of entries", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  Deno.mkdirSync(dir);
  const sha256 = await sha256Hex("x");
  Deno.writeTextFileSync(join(dir, sha256), "x");
  const line = (i: number) => JSON.stringify({ v: 1, at: i, path: `/shared/${i}`, sha256, bytes: 1 });
  Deno.writeTextFileSync(
    join(dir, "index.jsonl"),
    Array.from({ length: LIMITS.keptEntriesMax }, (_, i) => `${line(i)}\n`).join(""),
  );
  const kept = await open(dir);
  assert.equal(kept.entries().length, LIMITS.keptEntriesMax);
  kept.keep(source("/shared/last", "x"));
  assert.equal(kept.entries().length, LIMITS.keptEntriesMax * 0.9);
  assert.equal(kept.entries().at(-1)!.path, "/shared/last");
  assert.equal(Deno.readTextFileSync(join(dir, sha256)), "x");
});

Deno.test("openKept() starts over a folder that a crash left: cut line, nonsense, orphans, temporaries", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const before = await open(dir);
  before.keep(source("/shared/a", "one"));
  const index = join(dir, "index.jsonl");
  const orphan = await sha256Hex("orphan");
  const gone = JSON.stringify({ v: 1, at: 1, path: "/shared/g", sha256: await sha256Hex("gone"), bytes: 4 });
  Deno.writeTextFileSync(index, `${Deno.readTextFileSync(index)}nonsense\n{"v":2}\n${gone}\n{"v":1,"at":2,"pa`);
  Deno.writeTextFileSync(join(dir, orphan), "orphan");
  Deno.writeTextFileSync(join(dir, "tmp-1"), "half");
  const after = await open(dir);
  assert.deepEqual(after.entries(), before.entries());
  assert.deepEqual(names(dir), [await sha256Hex("one"), "index.jsonl"].sort());
  after.keep(source("/shared/b", "two"));
  assert.deepEqual((await open(dir)).entries().map((entry) => entry.path), ["/shared/a", "/shared/b"]);
});

Deno.test("openKept() says so when the disk refuses, and then nothing may be replaced", async () => {
  const dir = join(Deno.makeTempDirSync(), "kept");
  const kept = await open(dir);
  Deno.removeSync(dir, { recursive: true });
  assert.throws(() => kept.keep(source("/shared/a", "x")), { code: "quota_exceeded", message: /cannot be kept/ });
});
