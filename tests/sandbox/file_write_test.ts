import assert from "node:assert/strict";
import { join } from "node:path";
import { removeFile, writeFile } from "#/sandbox/file_write.ts";
import { openKept } from "#/sandbox/kept.ts";
import { openOs } from "#/sandbox/open_os.ts";
import type { Os } from "#/sandbox/os.ts";
import { RootUsage } from "#/sandbox/root_usage.ts";

const never = new AbortController().signal;
const path = { root: "shared", parts: ["f"] } as const;

/** A root over an `Os` that a test bends. */
function openBent(bend: (real: Os, file: string) => Partial<Os>) {
  const dir = Deno.makeTempDirSync();
  const file = join(dir, "root", "f");
  Deno.mkdirSync(join(dir, "root"));
  const real = openOs();
  const os = { ...real, ...bend(real, file) };
  const handle = real.openRoot(join(dir, "root"));
  const root = { os, handle };
  const kept = openKept({ dir: join(dir, "kept"), now: () => 0 });
  const deps = { kept, usage: new RootUsage(root, "shared"), rootBytesMax: 1_000 };
  return {
    file,
    kept,
    write: (text: string) =>
      writeFile(root, { path, content: new TextEncoder().encode(text), bytesMax: 100 }, deps, never),
    remove: () => removeFile(root, path, deps, never),
    names: () => [...Deno.readDirSync(join(dir, "root"))].map((entry) => entry.name),
    [Symbol.dispose]: () => handle[Symbol.dispose](),
  };
}

function failing(code: string): () => never {
  return () => {
    throw Object.assign(new Error(code), { code });
  };
}

Deno.test("writeFile() refuses when a neighbour changes the file between the look and the rename", async () => {
  for (
    const change of [
      (file: string) => Deno.writeTextFileSync(file, "theirs"),
      (file: string) => {
        Deno.removeSync(file);
        Deno.symlinkSync("/etc/passwd", file);
      },
      (file: string) => {
        Deno.renameSync(file, `${file}2`);
        Deno.writeTextFileSync(file, "mine");
      },
    ]
  ) {
    let isArmed = false;
    using bent = openBent((real, file) => ({
      setMode: (handle, mode) => {
        real.setMode(handle, mode);
        if (isArmed) change(file);
      },
    }));
    await bent.write("mine");
    isArmed = true;
    await assert.rejects(
      bent.write("new"),
      (error: { code?: string }) => /^(file_changed|path_outside)$/.test(error.code ?? ""),
    );
    assert.ok(!bent.names().some((name) => name.startsWith(".oxydra-tmp-")));
    assert.notEqual(Deno.readTextFileSync(bent.file), "new");
  }
});

Deno.test("writeFile() never replaces a file that a neighbour creates meanwhile", async () => {
  using bent = openBent((real, file) => ({
    link: (dir, from, to) => {
      Deno.writeTextFileSync(file, "theirs");
      real.link(dir, from, to);
    },
  }));
  await assert.rejects(bent.write("mine"), { code: "EEXIST" });
  assert.deepEqual([bent.names(), Deno.readTextFileSync(bent.file)], [["f"], "theirs"]);
});

Deno.test("writeFile() renames where the disk knows no hard links", async () => {
  using bent = openBent(() => ({ link: failing("EPERM") }));
  assert.equal((await bent.write("mine")).created, true);
  assert.deepEqual([bent.names(), Deno.readTextFileSync(bent.file)], [["f"], "mine"]);
});

Deno.test("writeFile() leaves the old content and no temporary when the disk fails at any step", async () => {
  for (const step of ["createFile", "write", "setMode", "rename"] as const) {
    let isArmed = false;
    using bent = openBent((real) => ({
      [step]: (...args: never[]) =>
        isArmed ? failing("ENOSPC")() : (real[step] as (...args: never[]) => unknown)(...args),
    }));
    await bent.write("old");
    isArmed = true;
    await assert.rejects(bent.write("new"), { code: "ENOSPC" }, step);
    assert.deepEqual([bent.names(), Deno.readTextFileSync(bent.file)], [["f"], "old"], step);
  }
});

Deno.test("removeFile() keeps what it deletes, and refuses what changed under its hands", async () => {
  let change: ((file: string) => void) | undefined;
  using bent = openBent((real, file) => ({
    stat: (dir, name) => {
      change?.(file);
      return real.stat(dir, name);
    },
  }));
  await bent.write("old");
  change = (file) => Deno.writeTextFileSync(file, "theirs!");
  await assert.rejects(bent.remove(), { code: "file_changed", message: /^\/shared\/f was changed/ });
  change = undefined;
  assert.deepEqual(await bent.remove(), { bytes: 7 });
  assert.deepEqual(bent.names(), []);
  assert.deepEqual(bent.kept.entries().map((entry) => entry.bytes), [3, 7]);
});
