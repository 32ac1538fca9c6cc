import assert from "node:assert/strict";
import { join } from "node:path";
import {
  listEntries,
  readEntry,
  readKept,
  removeEntry,
  sweepEntries,
  toEntryPath,
  toInstalled,
  writeEntry,
} from "#/sandbox/component_cache.ts";
import { PackageManifest } from "#/sandbox/component_manifest.ts";
import { LIMITS } from "#/core/limits.ts";
import { toPackage } from "./component_kit.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const MADE = {
  imports: ["oxydra:tool/fs-read"],
  files: [{ name: "tool.js", bytes: encode("export {}") }, { name: "tool.core.wasm", bytes: encode("core") }],
};

/** One written package in a folder of its own. */
async function makeEntry() {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "oxydra-cache-" }));
  const source = await toPackage(encode("component"));
  const manifest = PackageManifest.parse(JSON.parse(source.manifest));
  const written = await writeEntry(dir, source, toInstalled(manifest, MADE));
  return { dir, source, manifest, written, path: written.path };
}

Deno.test("writeEntry() and readEntry() keep a package, private, under the hash of what it was made of", async () => {
  const { dir, source, manifest, written, path } = await makeEntry();
  const read = await readEntry(path, () => true);
  assert.deepEqual([read.manifest, read.component, read.trusted], [manifest, written.component, written.trusted]);
  assert.deepEqual(read.component.interfaces, ["fs-read"]);
  assert.equal(path, await toEntryPath(dir, source.manifest, manifest));
  assert.notEqual(path, await toEntryPath(dir, `${source.manifest} `, manifest), "another manifest is another place");
  assert.deepEqual(listEntries(dir), [path]);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o700);
  for (const { name } of Deno.readDirSync(path)) {
    assert.equal(Deno.statSync(join(path, name)).mode! & 0o777, 0o600, name);
  }
  await writeEntry(dir, source, toInstalled(manifest, MADE));
  assert.deepEqual(listEntries(dir), [path], "written again: in its place");
  removeEntry(path);
  removeEntry(path);
  assert.deepEqual([listEntries(dir), listEntries(join(dir, "none"))], [[], []]);
});

Deno.test("readEntry() refuses a package of which one byte is another one, wherever, and names the file", async () => {
  const { path } = await makeEntry();
  let flipped = 0;
  for (const { name } of [...Deno.readDirSync(path)]) {
    const file = join(path, name);
    const whole = Deno.readFileSync(file);
    for (let at = 0; at < whole.length; at++) {
      Deno.writeFileSync(file, whole.with(at, whole[at]! ^ 1));
      await assert.rejects(readEntry(path, () => true), (error: Error & { code: string }) => {
        assert.equal(error.code, "component_invalid");
        // A hash in meta.json that changes is seen at the file that it is of.
        assert.ok(name === "meta.json" || error.message.includes(`${name} is not what was installed`), error.message);
        return true;
      }, `${name} at ${at}`);
      flipped++;
    }
    Deno.writeFileSync(file, whole);
  }
  await readEntry(path, () => true);
  assert.ok(flipped > 1_000);
});

Deno.test("readEntry() refuses what is missing, no plain file, too large, moved, or not trusted", async () => {
  const { dir, path, written } = await makeEntry();
  const asked: [string, string][] = [];
  await assert.rejects(readEntry(path, (...file) => (asked.push(file), false)), { message: /meta\.json is not what/ });
  assert.deepEqual(asked, [[join(path, "meta.json"), written.trusted[0]!.sha256]]);
  const moved = join(dir, "0".repeat(64));
  Deno.renameSync(path, moved);
  await assert.rejects(readEntry(moved, () => true), { message: /its name is not what/ });
  Deno.renameSync(moved, path);
  const glue = join(path, "tool.js");
  Deno.renameSync(glue, join(dir, "glue"));
  await assert.rejects(readEntry(path, () => true), { message: /tool\.js is not what/ });
  Deno.symlinkSync(join(dir, "glue"), glue);
  await assert.rejects(readEntry(path, () => true), { message: /tool\.js is not what/ });
  Deno.removeSync(glue);
  Deno.writeFileSync(glue, new Uint8Array(LIMITS.componentFileBytesMax + 1));
  await assert.rejects(readEntry(path, () => true), { message: /tool\.js is not what/ });
});

Deno.test("readEntry() knows a package that another version of this program made", async () => {
  const { path } = await makeEntry();
  const file = join(path, "meta.json");
  const meta = Deno.readTextFileSync(file);
  Deno.writeTextFileSync(file, meta.replace('"cap":"1"', '"cap":"0"'));
  await assert.rejects(readEntry(path, () => true), {
    code: "component_invalid",
    message: /another version of this program/,
  });
});

Deno.test("readKept() gives manifest and component back, however damaged the rest is, and none that is not trusted", async () => {
  const { path, source, written } = await makeEntry();
  Deno.writeTextFileSync(join(path, "meta.json"), "");
  Deno.removeSync(join(path, "tool.js"));
  const { path: file, sha256 } = written.trusted[1]!;
  assert.deepEqual(await readKept(path, (...one) => one[0] === file && one[1] === sha256), source);
  assert.equal(await readKept(path, () => false), undefined);
  Deno.removeSync(join(path, "component.wasm"));
  assert.equal(await readKept(path), undefined);
});

Deno.test("listEntries() lists at most packagesMax folders, and nothing that an interrupted install left", async () => {
  const dir = await Deno.makeTempDir();
  const names = Array.from({ length: LIMITS.packagesMax + 1 }, (_, at) => at.toString(16).padStart(64, "0"));
  for (const name of [...names, ".oxydra-tmp-x", "other"]) Deno.mkdirSync(join(dir, name));
  assert.deepEqual(listEntries(dir), names.slice(0, LIMITS.packagesMax).map((name) => join(dir, name)));
  sweepEntries(dir);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), [...names, "other"]);
  sweepEntries(join(dir, "none"));
});
