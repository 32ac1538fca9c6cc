import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";

async function withFolders(check: (cache: string, run: string) => void | Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "oxydra-view-" });
  const [cache, run] = [join(dir, "cache"), join(dir, "run")];
  for (const path of [cache, run, join(cache, "gen"), join(cache, "location_data")]) await Deno.mkdir(path);
  for (const name of ["v8_code_cache_v2", "v8_code_cache_v2-wal"]) await Deno.writeTextFile(join(cache, name), "x");
  try {
    await check(cache, run);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Name and target of a link, or name and kind. */
function listing(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name, isSymlink, isFile }) =>
    isSymlink ? `${name} -> ${Deno.readLinkSync(join(dir, name))}` : `${name} ${isFile ? "file" : "folder"}`
  ).sort();
}

Deno.test("makeCacheView() shows the cache without its store", async () => {
  await withFolders((cache, run) => {
    makeCacheView(cache, run);
    const view = join(run, "deno");
    assert.deepEqual(listing(view), [
      `gen -> ${cache}/gen`,
      "location_data file",
      `v8_code_cache_v2 -> ${cache}/v8_code_cache_v2`,
    ]);
    assert.equal(Deno.statSync(view).mode! & 0o777, 0o700);
  });
});

Deno.test("makeCacheView() takes over nothing that lies there, and follows no link when it removes it", async () => {
  await withFolders((cache, run) => {
    const view = join(run, "deno");
    makeCacheView(cache, run);
    const clean = listing(view);
    Deno.removeSync(join(view, "gen"));
    Deno.mkdirSync(join(view, "gen"));
    Deno.writeTextFileSync(join(view, "gen", "poisoned.js"), "evil");
    makeCacheView(cache, run);
    assert.deepEqual(listing(view), clean);
    Deno.removeSync(view, { recursive: true });
    Deno.symlinkSync(cache, view);
    makeCacheView(cache, run);
    assert.deepEqual(listing(view), clean);
    assert.deepEqual(listing(cache).length, 4, "the cache itself is whole");
  });
});

Deno.test("makeCacheView() says which cache is not there", async () => {
  await withFolders((cache, run) => {
    assert.throws(() => makeCacheView(join(cache, "none"), run), { code: "config_invalid", message: /cache\/none/ });
  });
});

Deno.test("toSandboxEnv() changes where the cache is, and nothing else", () => {
  assert.deepEqual(toSandboxEnv({ HOME: "/h", DENO_DIR: "/d" }, "/w/run"), { HOME: "/h", DENO_DIR: "/w/run/deno" });
});
