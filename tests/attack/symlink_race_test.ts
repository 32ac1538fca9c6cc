import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import { readText } from "#/sandbox/file_read.ts";
import { openOs } from "#/sandbox/open_os.ts";
import { runOne } from "../sandbox/temp_files.ts";
import { openTempFiles, type TempFiles } from "../sandbox/temp_files.ts";

/** Swaps two paths in a process of its own until disposed. */
async function startSwapping(one: string, other: string): Promise<AsyncDisposable> {
  const script = join(import.meta.dirname!, "swapper.ts");
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", "--no-lock", script, one, other],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.match(new TextDecoder().decode(value), /swapping/);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

function plant(temp: TempFiles): void {
  Deno.mkdirSync(join(temp.shared, "d"));
  Deno.writeTextFileSync(join(temp.shared, "d", "f"), "inside");
  Deno.writeTextFileSync(join(temp.outside, "f"), "SECRET");
  Deno.symlinkSync(temp.outside, join(temp.shared, "l"));
}

/** What everybody writes first: resolve, compare, open. */
function naiveRead(root: string, path: string): string {
  const real = Deno.realPathSync(join(root, path));
  if (!real.startsWith(`${root}/`)) throw new Error("outside");
  return Deno.readTextFileSync(join(root, path));
}

Deno.test("a folder swapped for a link while it is read: 20,000 tries, no escape, where realpath-then-open escapes", async () => {
  using temp = openTempFiles();
  plant(temp);
  await using _swapping = await startSwapping(join(temp.shared, "d"), join(temp.shared, "l"));
  const os = openOs();
  using handle = os.openRoot(temp.shared);
  const seen = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    let result: string;
    try {
      result = new TextDecoder().decode(readText({ os, handle }, { root: "shared", parts: ["d", "f"] }, 100));
    } catch (error) {
      result = error instanceof AppError ? error.code : String(error);
    }
    seen.set(result, (seen.get(result) ?? 0) + 1);
  }
  assert.equal(seen.get("SECRET"), undefined);
  assert.ok(seen.get("inside")! > 0 && seen.get("path_outside")! > 0, JSON.stringify([...seen]));
  // "ENOTDIR, but a folder by the time we looked" is a refusal with another sentence.
  assert.deepEqual([...seen.keys()].filter((key) => !["inside", "path_outside", "path_invalid"].includes(key)), []);

  const root = Deno.realPathSync(temp.shared);
  let tries = 0;
  for (let escaped = false; !escaped; tries++) {
    assert.ok(tries < 500_000, "the harness never won against realpath-then-open, so it proves nothing");
    try {
      escaped = naiveRead(root, "d/f") === "SECRET";
    } catch {
      // Refused, or swapped in between.
    }
  }
});

Deno.test("a folder swapped for a link while files are written, listed, searched and removed: nothing outside changes", async () => {
  using temp = openTempFiles();
  plant(temp);
  await using _swapping = await startSwapping(join(temp.shared, "d"), join(temp.shared, "l"));
  let done = 0;
  for (let i = 0; i < 600; i++) {
    using call = temp.files.openCall();
    const steps = [
      () => runOne(call, { fn: "fs-write.write-text", path: `/shared/d/w${i}`, text: "mine" }),
      () => runOne(call, { fn: "fs-write.write-text", path: "/shared/d/f", text: "inside" }),
      () => runOne(call, { fn: "fs-write.remove", path: `/shared/d/w${i}` }),
    ];
    for (const step of steps) {
      await step().then(
        () => done++,
        (error) => assert.ok(error instanceof AppError && error.code !== "internal", String(error)),
      );
    }
    const page = await runOne(call, { fn: "fs-read.scan", path: "/shared", glob: "", cursor: "" });
    assert.ok(!page.text.includes("SECRET"));
    const { entries } = (await runOne(call, { fn: "fs-read.list", path: "/shared", recursive: true })).value;
    assert.ok(!entries.some((entry) => entry.path.endsWith("secret.txt")));
  }
  assert.ok(done > 0);
  assert.deepEqual([...Deno.readDirSync(temp.outside)].map((e) => e.name).sort(), ["f", "secret.txt"]);
  assert.equal(Deno.readTextFileSync(join(temp.outside, "f")), "SECRET");
});

Deno.test("a file swapped for a link while it is read and written: the link's target is never read nor changed", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "f"), "inside");
  Deno.symlinkSync(join(temp.outside, "secret.txt"), join(temp.shared, "l"));
  await using _swapping = await startSwapping(join(temp.shared, "f"), join(temp.shared, "l"));
  const results = new Set<string>();
  for (let i = 0; i < 2_000; i++) {
    using call = temp.files.openCall();
    const path = "/shared/f";
    await runOne(call, { fn: "fs-read.read-text", path }).then(
      (got) => results.add(got.text),
      (error) => results.add(error.code),
    );
    if (i % 4 === 0) await runOne(call, { fn: "fs-write.write-text", path, text: "inside" }).catch(() => {});
  }
  assert.ok(!results.has("SECRET"));
  assert.ok(results.has("inside"), [...results].join());
  assert.equal(Deno.readTextFileSync(join(temp.outside, "secret.txt")), "SECRET");
});
