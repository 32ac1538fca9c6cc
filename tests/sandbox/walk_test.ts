import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { AppError } from "#/core/error.ts";
import { codeOf, notRegular, toFileError } from "#/sandbox/file_error.ts";
import { isText, listFolder, readUpTo } from "#/sandbox/file_read.ts";
import { openOs } from "#/sandbox/open_os.ts";
import { openLinuxOs } from "#/sandbox/os_linux.ts";
import { RootUsage } from "#/sandbox/root_usage.ts";
import { Scan } from "#/sandbox/scan.ts";
import { openFolder, openRegular, type OpenRoot, parentOf, walkTree } from "#/sandbox/walk.ts";

function openRoot(): OpenRoot & Disposable & { readonly dir: string } {
  const dir = Deno.makeTempDirSync();
  const os = openLinuxOs();
  const handle = os.openRoot(dir);
  return { dir, os, handle, [Symbol.dispose]: () => handle[Symbol.dispose]() };
}

const at = (...parts: string[]) => ({ root: "shared", parts }) as const;

Deno.test("walkTree() goes in path order, enters no link, and one folder only when it is not deep", () => {
  using root = openRoot();
  for (const dir of ["b/c", "a", "a-x", ".oxydra/in"]) Deno.mkdirSync(join(root.dir, dir), { recursive: true });
  for (const file of ["b/c/1", "b/2", "a/3", "0"]) Deno.writeTextFileSync(join(root.dir, file), "");
  Deno.symlinkSync("b", join(root.dir, "link"));
  const paths = (deep: boolean) => [...walkTree(root, at(), { deep })].map((entry) => entry.parts.join("/"));
  assert.deepEqual(paths(true), [".oxydra", "0", "a", "a/3", "a-x", "b", "b/2", "b/c", "b/c/1", "link"]);
  assert.deepEqual(paths(false), [".oxydra", "0", "a", "a-x", "b", "link"]);
  assert.deepEqual([...walkTree(root, at("none"))], []);
});

Deno.test("walkTree() ends at the depth limit", () => {
  using root = openRoot();
  Deno.mkdirSync(join(root.dir, ...Array.from({ length: LIMITS.treeDepthMax + 5 }, () => "d")), { recursive: true });
  const depths = [...walkTree(root, at())].map((entry) => entry.parts.length);
  assert.equal(depths.at(-1), LIMITS.treeDepthMax + 1);
});

Deno.test("openFolder() makes what is missing only when asked, and openRegular() wants a file", () => {
  using root = openRoot();
  assert.throws(() => openFolder(root, at("a", "b")), { code: "file_not_found" });
  openFolder(root, at("a", "b"), { create: true })[Symbol.dispose]();
  assert.ok(Deno.statSync(join(root.dir, "a", "b")).isDirectory);
  using folder = openFolder(root, parentOf(at("a", "b")));
  assert.throws(() => openRegular(root, folder, at("a", "b")), { code: "file_not_regular" });
  Deno.writeTextFileSync(join(root.dir, "f"), "");
  assert.throws(() => openFolder(root, at("f", "g"), { create: true }), { code: "path_invalid" });
});

Deno.test("openLinuxOs() takes one path segment at a time", () => {
  using root = openRoot();
  for (const name of ["", ".", "..", "a/b", "/etc", "a\0"]) {
    assert.throws(() => root.os.openFile(root.handle, name), TypeError);
    assert.throws(() => root.os.unlink(root.handle, name), TypeError);
  }
});

Deno.test("openOs() refuses where no file walk was proven", () => {
  assert.throws(() => openOs("windows"), { code: "platform_unsupported", message: /WSL2/ });
  assert.throws(() => openOs("darwin"), { code: "platform_unsupported" });
  assert.ok(openOs("linux"));
});

Deno.test("readUpTo() reads what grew since it was measured, up to the limit", () => {
  using root = openRoot();
  Deno.writeTextFileSync(join(root.dir, "f"), "0123456789");
  using file = root.os.openFile(root.handle, "f");
  assert.equal(readUpTo(root.os, file, 2, 10)?.length, 10);
  assert.equal(readUpTo(root.os, file, 2, 9), undefined);
  assert.equal(readUpTo(root.os, file, 0, 0), undefined);
  assert.equal(readUpTo(root.os, file, 11, 10), undefined);
});

Deno.test("isText() wants UTF-8 without a NUL", () => {
  assert.ok(isText(new TextEncoder().encode("ü")));
  assert.ok(!isText(new Uint8Array([0x61, 0])));
  assert.ok(!isText(new Uint8Array([0xc3])));
});

Deno.test("listFolder() stops when it is cancelled in the middle of a large folder", async () => {
  using root = openRoot();
  for (let i = 0; i < 5_000; i++) Deno.writeTextFileSync(join(root.dir, `${i}`), "");
  const abort = new AbortController();
  setImmediate(() => abort.abort());
  const options = { recursive: true, entriesMax: LIMITS.listEntriesMax };
  await assert.rejects(listFolder(root, at(), options, abort.signal), { code: "cancelled" });
});

Deno.test("Scan visits no more than searchFilesMax and ends when it is disposed", async () => {
  using root = openRoot();
  Deno.writeTextFileSync(join(root.dir, "a"), "x");
  const scan = new Scan(root, at(), "");
  scan[Symbol.dispose]();
  const page = await scan.next(10, new AbortController().signal);
  assert.deepEqual(page.value, { files: [], next: "", skipped: 0 });
  assert.equal(new Scan(root, at(), "").cursor, "");
});

Deno.test("RootUsage measures once, counts, and forgets a failed walk", async () => {
  using root = openRoot();
  Deno.writeTextFileSync(join(root.dir, "a"), "12345");
  const usage = new RootUsage(root, "shared");
  await Promise.all([usage.measure({}), usage.measure({})]);
  assert.equal(usage.bytes, 5);
  usage.add(3);
  await usage.measure({});
  assert.equal(usage.bytes, 8);
  await usage.measure({ anew: true });
  assert.equal(usage.bytes, 5);
  usage.add(-9);
  assert.equal(usage.bytes, 0);
  await assert.rejects(usage.measure({ anew: true }, AbortSignal.abort()), { code: "cancelled" });
});

Deno.test("toFileError() speaks of the virtual path only and lets an AppError pass", () => {
  const raw = Object.assign(new Error("ENOSPC: open '/srv/x'"), { code: "ENOSPC" });
  const error = toFileError(raw, "/shared/x");
  assert.deepEqual([error.code, error.message], ["quota_exceeded", "The disk has no space left for /shared/x"]);
  const own = new AppError("file_exists", "own");
  assert.equal(toFileError(own, "/shared/x"), own);
  assert.equal(toFileError({ code: "EIO" }, "/shared/x").code, "tool_failed");
  assert.throws(() => toFileError(new TypeError("a bug"), "/shared/x"), TypeError);
  assert.throws(() => openLinuxOs().openRoot("/none"), (thrown) => codeOf(thrown) === "ENOENT");
  assert.throws(() => Deno.lstatSync("/none"), (thrown) => codeOf(thrown) === "ENOENT");
  assert.equal(codeOf(null), "");
  assert.equal(notRegular("/tmp/x", "link").code, "path_outside");
});
