import assert from "node:assert/strict";
import { fromFileUrl } from "../fixture/source_tree.ts";
import type { Os } from "#/sandbox/os.ts";
import { openOs } from "#/sandbox/open_os.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import fs from "node:fs";

Deno.test("runSelfTest() passes here, twice, and leaves nothing behind", () => {
  const dir = Deno.makeTempDirSync();
  runSelfTest(dir);
  runSelfTest(dir);
  assert.deepEqual([...Deno.readDirSync(dir)], []);
});

Deno.test("runSelfTest() finds file access that follows links, wherever it does", () => {
  const real = openOs();
  const path = (dir: { fd: number }, name: string) => `${Deno.readLinkSync(`/proc/self/fd/${dir.fd}`)}/${name}`;
  const handle = (fd: number) => ({ fd, [Symbol.dispose]: () => fs.closeSync(fd) });
  const broken: Partial<Os>[] = [
    { openFile: (dir, name) => handle(fs.openSync(path(dir, name), "r")) },
    { openDir: (dir, name) => handle(fs.openSync(path(dir, name), fs.constants.O_DIRECTORY)) },
    {
      openFile: (dir, name) => {
        using named = real.openRoot(path(dir, ".").replace("/moved", "/folder"));
        return real.openFile(named, name);
      },
    },
    { createFile: (dir, name) => handle(fs.openSync(path(dir, name), "w")) },
    {
      openFile: () => {
        throw new Deno.errors.NotCapable("Requires all access");
      },
    },
  ];
  for (const change of broken) {
    const dir = Deno.makeTempDirSync();
    assert.throws(() => runSelfTest(dir, { ...real, ...change }), { code: "self_test_failed" });
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }
  assert.throws(() => runSelfTest(`${Deno.makeTempFileSync()}/run`), { code: "self_test_failed" });
});

Deno.test("runSelfTest() refuses to start under one deny flag, and passes under exactly -A", async () => {
  const root = fromFileUrl(new URL("../../", import.meta.url));
  const dir = Deno.makeTempDirSync();
  const code = `import { runSelfTest } from "#/sandbox/self_test.ts";
    try { runSelfTest(${JSON.stringify(dir)}); console.log("passed"); } catch (error) { console.log(error.code); }`;
  const script = `${dir}/main.ts`;
  Deno.writeTextFileSync(script, code);
  const run = async (...flags: string[]) => {
    const args = ["run", "-A", ...flags, "--no-prompt", "--cached-only", "--config", `${root}deno.json`, script];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, stdout: "piped", stderr: "piped" })
      .output();
    return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
  };
  assert.equal(await run(), "passed");
  assert.equal(await run("--deny-read=/nonexistent"), "self_test_failed");
  assert.equal(await run("--deny-net=example.invalid"), "self_test_failed");
});
