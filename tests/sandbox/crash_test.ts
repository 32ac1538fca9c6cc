import assert from "node:assert/strict";
import { join } from "node:path";
import { openKept } from "#/sandbox/kept.ts";
import { fromFileUrl } from "../fixture/source_tree.ts";
import { openTempFiles } from "./temp_files.ts";

Deno.test("openFiles() leaves a whole file, whole old contents and a sweepable folder to whoever comes after a SIGKILL", async () => {
  using temp = openTempFiles();
  const entry = fromFileUrl(new URL("../fixture/writing_runner.ts", import.meta.url));
  const config = fromFileUrl(new URL("../../deno.json", import.meta.url));
  for (let round = 0; round < 4; round++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-A", "--cached-only", "--config", config, entry, temp.dir],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGKILL");
    await reader.cancel();
    await child.status;
    const content = Deno.readTextFileSync(join(temp.shared, "f"));
    assert.ok(content === "a".repeat(1_000_000) || content === "b".repeat(1_000_000), `${content.length} characters`);
  }
  await temp.files.sweep();
  assert.deepEqual([...Deno.readDirSync(temp.shared)].map((entry) => entry.name), ["f"]);
  const dir = join(temp.dir, "run", "kept");
  const kept = openKept({ dir, now: () => 0 });
  await kept.ready();
  const names = new Set([...Deno.readDirSync(dir)].map((entry) => entry.name));
  assert.deepEqual(names, new Set(["index.jsonl", ...kept.entries().map((entry) => entry.sha256)]));
  assert.ok(kept.entries().length >= 8);
  assert.ok(kept.entries().every((entry) => entry.bytes === 1_000_000 && entry.path === "/shared/f"));
});
