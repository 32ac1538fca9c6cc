import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openTempFiles, runOne } from "./temp_files.ts";

/** Handles of this process that lead into the folder: other test files run in the same process. */
function openHandles(dir: string): number {
  const targets = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  });
  return targets.filter((target) => target.startsWith(dir)).length;
}

const write = (path: string, text: string, expectSha256?: string) =>
  ({ fn: "fs-write.write-text", path, text, ...(expectSha256 === undefined ? {} : { expectSha256 }) }) as const;
const read = (path: string) => ({ fn: "fs-read.read-text", path }) as const;
const list = (path: string, recursive = false) => ({ fn: "fs-read.list", path, recursive }) as const;
const scan = (path: string, glob = "", cursor = "") => ({ fn: "fs-read.scan", path, glob, cursor }) as const;
const remove = (path: string) => ({ fn: "fs-write.remove", path }) as const;

Deno.test("openFiles() writes, reads, lists and removes below its roots", async () => {
  using temp = openTempFiles();
  const sha256 = await sha256Hex("Fluss\n");
  assert.deepEqual((await temp.run(write("/shared/a/b/f.txt", "Fluss\n"))).value, { bytes: 6, created: true, sha256 });
  const got = await temp.run(read("/shared/a/b/f.txt"));
  assert.deepEqual([got.value, got.text], [{ bytes: 6, sha256 }, "Fluss\n"]);
  const { entries, truncated } = (await temp.run(list("/shared", true))).value;
  assert.deepEqual(entries.map((e) => [e.path, e.kind, e.bytes]), [
    ["/shared/a", "dir", 0],
    ["/shared/a/b", "dir", 0],
    ["/shared/a/b/f.txt", "file", 6],
  ]);
  assert.equal(truncated, false);
  assert.ok(entries.every((e) => Number.isInteger(e.modifiedAt) && e.modifiedAt > 1_600_000_000_000));
  assert.deepEqual((await temp.run(remove("/shared/a/b/f.txt"))).value, { bytes: 6 });
  await assert.rejects(temp.run(read("/shared/a/b/f.txt")), {
    code: "file_not_found",
    message: "/shared/a/b/f.txt does not exist",
  });
  assert.deepEqual([...Deno.readDirSync(join(temp.shared, "a", "b"))], []);
});

Deno.test("openFiles() replaces whole files, keeps their mode and old content, and cuts hard links", async () => {
  using temp = openTempFiles();
  await temp.run(write("/shared/run.sh", "old"));
  Deno.chmodSync(join(temp.shared, "run.sh"), 0o750);
  Deno.linkSync(join(temp.shared, "run.sh"), join(temp.outside, "twin"));
  const before = Deno.statSync(join(temp.shared, "run.sh"));
  const { value } = await temp.run(write("/shared/run.sh", "new"));
  assert.equal(value.created, false);
  const after = Deno.statSync(join(temp.shared, "run.sh"));
  assert.equal(after.mode! & 0o777, 0o750);
  assert.notEqual(after.ino, before.ino);
  assert.equal(Deno.readTextFileSync(join(temp.outside, "twin")), "old");
  const [entry] = temp.kept.entries();
  assert.deepEqual(entry, { v: 1, at: 1_000, path: "/shared/run.sh", sha256: await sha256Hex("old"), bytes: 3 });
  assert.equal(Deno.readTextFileSync(join(temp.dir, "run", "kept", entry!.sha256)), "old");
  assert.deepEqual([...Deno.readDirSync(temp.shared)].map((e) => e.name), ["run.sh"]);
});

Deno.test("openFiles() refuses a write whose expectation does not hold", async () => {
  using temp = openTempFiles();
  const { sha256 } = (await temp.run(write("/shared/f", "one", "absent"))).value;
  await assert.rejects(temp.run(write("/shared/f", "two", "absent")), { code: "file_exists" });
  await assert.rejects(temp.run(write("/shared/f", "two", "0".repeat(64))), { code: "file_changed" });
  await assert.rejects(temp.run(write("/shared/gone/g", "two", sha256)), { code: "file_not_found" });
  await assert.rejects(temp.run(write("/shared/g", "two", sha256)), { code: "file_changed" });
  assert.equal((await temp.run(read("/shared/f"))).text, "one");
  assert.equal(temp.kept.entries().length, 0);
  assert.equal((await temp.run(write("/shared/f", "two", sha256))).value.created, false);
  assert.deepEqual([...Deno.readDirSync(temp.shared)].map((e) => e.name), ["f"]);
});

Deno.test("openFiles() lets one of two writes with the same expectation through", async () => {
  using temp = openTempFiles();
  const { sha256 } = (await temp.run(write("/shared/f", "0"))).value;
  const tries = Array.from({ length: 10 }, (_, i) => temp.run(write("/shared/f", `${i + 1}`, sha256)));
  const won = (await Promise.allSettled(tries)).filter((one) => one.status === "fulfilled");
  assert.equal(won.length, 1);
  const created = Array.from({ length: 10 }, (_, i) => temp.run(write("/shared/new", `${i}`, "absent")));
  assert.equal((await Promise.allSettled(created)).filter((one) => one.status === "fulfilled").length, 1);
});

Deno.test("openFiles() refuses a file that is too large, binary or not a file, and holds at the limit", async () => {
  using temp = openTempFiles();
  Deno.writeFileSync(join(temp.shared, "max"), new Uint8Array(LIMITS.fileBytesMax).fill(97));
  Deno.writeFileSync(join(temp.shared, "over"), new Uint8Array(LIMITS.fileBytesMax + 1).fill(97));
  Deno.writeFileSync(join(temp.shared, "nul"), new Uint8Array([97, 0, 98]));
  Deno.writeFileSync(join(temp.shared, "latin1"), new Uint8Array([0xe4, 0x0a]));
  Deno.writeFileSync(join(temp.shared, "empty"), new Uint8Array());
  assert.equal((await temp.run(read("/shared/max"))).content.length, LIMITS.fileBytesMax);
  await assert.rejects(temp.run(read("/shared/over")), { code: "file_too_large" });
  await assert.rejects(temp.run(read("/shared/nul")), { code: "file_not_regular", message: /binary/ });
  await assert.rejects(temp.run(read("/shared/latin1")), { code: "file_not_regular" });
  assert.equal((await temp.run(read("/shared/empty"))).text, "");
  await assert.rejects(temp.run(read("/shared")), {
    code: "file_not_regular",
    message: "/shared is a folder, not a file",
  });
  await assert.rejects(temp.run(write("/shared", "x")), { code: "file_not_regular" });
  await assert.rejects(temp.run(remove("/shared")), { code: "file_not_regular" });
  await assert.rejects(temp.run(read("/shared/empty/x")), { code: "path_invalid" });
  await assert.rejects(temp.run(list("/shared/empty")), { code: "path_invalid" });
  using call = temp.files.openCall();
  await assert.rejects(runOne(call, write("/shared/w", "four"), { bytesMax: 3 }), { code: "file_too_large" });
  assert.equal((await runOne(call, write("/shared/w", "four"), { bytesMax: 4 })).value.bytes, 4);
});

Deno.test("openFiles() keeps the byte order mark and every line end as they are", async () => {
  using temp = openTempFiles();
  await temp.run(write("/shared/f", "\ufeffa\r\nb\rc\n"));
  assert.deepEqual((await temp.run(read("/shared/f"))).content, new TextEncoder().encode("\ufeffa\r\nb\rc\n"));
});

Deno.test("openFiles() writes nothing into the vault, and nothing once it was cancelled", async () => {
  using temp = openTempFiles();
  await assert.rejects(temp.run(write("/vault/f", "x")), {
    code: "path_outside",
    message: "/vault is read-only for tools",
  });
  await assert.rejects(temp.run(remove("/vault/f")), { code: "path_outside" });
  using call = temp.files.openCall();
  const abort = new AbortController();
  const writing = runOne(call, write("/shared/f", "x"), { signal: abort.signal });
  abort.abort();
  await assert.rejects(writing, { code: "cancelled" });
  await assert.rejects(runOne(call, read("/shared/f"), { signal: abort.signal }), { code: "cancelled" });
  assert.deepEqual([...Deno.readDirSync(temp.shared)], []);
});

Deno.test("openFiles() lists in path order, hides reserved names and stops at the limit", async () => {
  using temp = openTempFiles();
  for (const name of ["b", "a", "a-b", "Z", ".oxydra-tmp-1", "bad\nname"]) {
    Deno.writeTextFileSync(join(temp.shared, name), "");
  }
  Deno.mkdirSync(join(temp.shared, ".oxydra"));
  Deno.writeTextFileSync(join(temp.shared, ".oxydra", "agent.toml"), "");
  Deno.symlinkSync("/etc/passwd", join(temp.shared, "link"));
  const { entries } = (await temp.run(list("/shared", true))).value;
  assert.deepEqual(entries.map((e) => e.path), ["/shared/Z", "/shared/a", "/shared/a-b", "/shared/b", "/shared/link"]);
  assert.deepEqual(entries.at(-1)!.kind, "other");
  using call = temp.files.openCall();
  const four = (await runOne(call, list("/shared"), { entriesMax: 4 })).value;
  assert.deepEqual([four.entries.length, four.truncated], [4, true]);
  const five = (await runOne(call, list("/shared"), { entriesMax: 5 })).value;
  assert.deepEqual([five.entries.length, five.truncated], [5, false]);
});

Deno.test("openFiles() scans text files in pages, in path order, and skips what it cannot show", async () => {
  using temp = openTempFiles();
  const content = "x".repeat(300_000);
  for (const name of ["c.txt", "a/1.txt", "a/2.md", "b.txt", "a/3.txt", "d.txt"]) {
    await temp.run(write(`/shared/${name}`, content));
  }
  Deno.writeFileSync(join(temp.shared, "bin.txt"), new Uint8Array([0]));
  Deno.writeFileSync(join(temp.shared, "huge.txt"), new Uint8Array(LIMITS.scanBatchBytesMax + 1).fill(97));
  Deno.symlinkSync("b.txt", join(temp.shared, "link.txt"));
  using call = temp.files.openCall();
  const seen: string[] = [];
  let skipped = 0;
  let pages = 0;
  for (let cursor = "", first = true; first || cursor !== ""; first = false) {
    const page = await runOne(call, scan("/shared", "*.txt", cursor));
    assert.ok(page.content.length <= LIMITS.scanBatchBytesMax);
    assert.equal(page.content.length, page.value.files.reduce((sum, file) => sum + file.bytes, 0));
    seen.push(...page.value.files.map((file) => file.path));
    skipped += page.value.skipped;
    pages++;
    cursor = page.value.next;
  }
  assert.deepEqual(seen, ["/shared/a/1.txt", "/shared/a/3.txt", "/shared/b.txt", "/shared/c.txt", "/shared/d.txt"]);
  assert.ok(pages >= 2);
  assert.equal(skipped, 2);
});

Deno.test("openFiles() scans one file that is named itself, and nothing that is not there", async () => {
  using temp = openTempFiles();
  await temp.run(write("/shared/a.txt", "text"));
  const page = await temp.run(scan("/shared/a.txt"));
  assert.deepEqual([page.value, page.text], [
    { files: [{ path: "/shared/a.txt", bytes: 4 }], next: "", skipped: 0 },
    "text",
  ]);
  await assert.rejects(temp.run(scan("/shared/b.txt")), { code: "file_not_found" });
  await assert.rejects(temp.run(scan("/shared", "{".repeat(2_000))), { code: "tool_args_invalid" });
});

Deno.test("openFiles() takes only the cursor of its own last page", async () => {
  using temp = openTempFiles();
  for (const name of ["a", "b", "c"]) await temp.run(write(`/shared/${name}`, "x".repeat(500_000)));
  using call = temp.files.openCall();
  const bad = { code: "tool_args_invalid" };
  await assert.rejects(runOne(call, scan("/shared", "", "1")), bad);
  const first = await runOne(call, scan("/shared"));
  assert.equal(first.value.next, "1");
  await assert.rejects(runOne(call, scan("/shared", "", "2")), bad);
  await assert.rejects(runOne(call, scan("/shared", "*", "1")), bad);
  await assert.rejects(runOne(call, scan("/tmp", "", "1")), bad);
  using other = temp.files.openCall();
  await assert.rejects(runOne(other, scan("/shared", "", "1")), bad);
  assert.deepEqual((await runOne(call, scan("/shared", "", "1"))).value.files.map((f) => f.path), ["/shared/c"]);
  await assert.rejects(runOne(call, scan("/shared", "", "1")), bad);
});

Deno.test("openFiles() stops a scan at the bytes that are left, and when it is cancelled", async () => {
  using temp = openTempFiles();
  for (const name of ["a", "b"]) await temp.run(write(`/shared/${name}`, "x".repeat(100)));
  using call = temp.files.openCall();
  const first = await runOne(call, scan("/shared"), { bytesMax: 150 });
  assert.deepEqual(first.value.files.map((f) => f.path), ["/shared/a"]);
  await assert.rejects(runOne(call, scan("/shared", "", first.value.next), { bytesMax: 50 }), {
    code: "quota_exceeded",
  });
  assert.equal((await runOne(call, scan("/shared", "", "1"), { bytesMax: 100 })).value.files.length, 1);
  await assert.rejects(runOne(call, scan("/shared"), { signal: AbortSignal.abort() }), { code: "cancelled" });
});

Deno.test("openFiles() refuses a write over the root's quota, counting what is there and what others add", async () => {
  using temp = openTempFiles({ rootBytesMax: 100 });
  Deno.writeTextFileSync(join(temp.shared, "there"), "x".repeat(60));
  await temp.run(write("/shared/a", "y".repeat(40)));
  await assert.rejects(temp.run(write("/shared/b", "z")), {
    code: "quota_exceeded",
    message: /^\/shared may hold 100 bytes/,
  });
  await temp.run(write("/tmp/b", "z"));
  await temp.run(remove("/shared/a"));
  await temp.run(write("/shared/b", "z".repeat(30)));
  Deno.removeSync(join(temp.shared, "there"));
  await temp.run(write("/shared/c", "z".repeat(70)));
  await assert.rejects(temp.run(write("/shared/d", "z")), { code: "quota_exceeded" });
});

Deno.test("openFiles() lets writes at the same time fill a root to its quota, not over it", async () => {
  using temp = openTempFiles({ rootBytesMax: 100 });
  const writes = Array.from({ length: 30 }, (_, i) => temp.run(write(`/shared/${i}`, "x".repeat(10))));
  const codes = (await Promise.allSettled(writes)).map((one) => one.status === "fulfilled" ? "ok" : one.reason.code);
  assert.equal(codes.filter((code) => code === "ok").length, 10);
  assert.ok(codes.every((code) => code === "ok" || code === "quota_exceeded"));
  assert.equal([...Deno.readDirSync(temp.shared)].length, 10);
});

Deno.test("openFiles() leaves a file as it is when its old content cannot be kept", async () => {
  using temp = openTempFiles({ keptBytesMax: 10 });
  await temp.run(write("/shared/f", "x".repeat(11)));
  await assert.rejects(temp.run(write("/shared/f", "new")), { code: "quota_exceeded", message: /cannot be kept/ });
  await assert.rejects(temp.run(remove("/shared/f")), { code: "quota_exceeded" });
  assert.equal((await temp.run(read("/shared/f"))).text.length, 11);
  assert.deepEqual([...Deno.readDirSync(temp.shared)].map((e) => e.name), ["f"]);
});

Deno.test("openFiles() sweeps temporaries of a crash and nothing else", async () => {
  using temp = openTempFiles();
  await temp.run(write("/shared/a/f", "x"));
  Deno.writeTextFileSync(join(temp.shared, "a", ".oxydra-tmp-dead"), "half");
  Deno.writeTextFileSync(join(temp.dir, "tmp", ".oxydra-tmp-dead"), "half");
  Deno.mkdirSync(join(temp.shared, ".oxydra-tmp-folder"));
  assert.equal(await temp.files.sweep(), 2);
  assert.equal(await temp.files.sweep(), 0);
  assert.deepEqual([...Deno.readDirSync(join(temp.shared, "a"))].map((e) => e.name), ["f"]);
});

Deno.test("openFiles() refuses roots that are not folders, and keeps to a root whose path was swapped", async () => {
  using temp = openTempFiles();
  Deno.symlinkSync(temp.outside, join(temp.dir, "linked"));
  const { vault, tmp } = temp.files.hostPaths;
  for (const shared of [join(temp.dir, "linked"), join(temp.dir, "none"), join(temp.outside, "secret.txt")]) {
    assert.throws(() => openFiles({ roots: { shared, tmp, vault }, kept: temp.kept }), { code: "config_invalid" });
  }
  await temp.run(write("/shared/f", "inside"));
  Deno.renameSync(temp.shared, join(temp.dir, "moved"));
  Deno.symlinkSync(temp.outside, temp.shared);
  assert.equal((await temp.run(read("/shared/f"))).text, "inside");
  await assert.rejects(temp.run(read("/shared/secret.txt")), { code: "file_not_found" });
});

Deno.test("openFiles() leaks no file handle, whatever happens", async () => {
  using temp = openTempFiles();
  await temp.run(write("/shared/a/f", "x"));
  Deno.symlinkSync("/etc", join(temp.shared, "l"));
  const count = () => openHandles(temp.dir);
  const round = async () => {
    const calls = [
      read("/shared/a/f"),
      read("/shared/l/passwd"),
      read("/shared/none/x"),
      read("/shared/a"),
      list("/shared", true),
      list("/shared/a/f"),
      scan("/shared"),
      scan("/shared/none"),
      write("/shared/a/f", "y"),
      write("/shared/l/x", "y"),
      write("/shared/a/f", "y", "absent"),
      remove("/shared/none"),
    ];
    for (const call of calls) await temp.run(call).catch(() => {});
  };
  await round();
  const before = count();
  for (let i = 0; i < 5; i++) await round();
  assert.equal(count(), before);
});
