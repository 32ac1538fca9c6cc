import assert from "node:assert/strict";
import { join } from "node:path";
import type { Outcome } from "#/core/capability.ts";
import { openRealBroker, requestOf } from "./temp_broker.ts";
import { openTempFiles } from "./temp_files.ts";

const never = new AbortController().signal;

Deno.test("openBroker() runs the six file tools in children without permission, on real files", async () => {
  using temp = openTempFiles();
  await using real = await openRealBroker(temp);
  const call = async (tool: string, args: unknown): Promise<Outcome> =>
    await real.broker.call(requestOf(args, { tool }), never);
  const ok = async (tool: string, args: unknown) => {
    const outcome = await call(tool, args);
    assert.equal(outcome.kind, "ok", outcome.text);
    return outcome.text;
  };
  assert.match(await ok("file_write", { path: "/shared/a/river.txt", content: "one\ntwo Fluss\n" }), /Created/);
  assert.match(await ok("file_read", { path: "/shared/a/river.txt" }), /two Fluss/);
  assert.match(await ok("file_edit", { path: "/shared/a/river.txt", old_text: "two", new_text: "2" }), /1 replacement/);
  assert.match(
    await ok("file_search", { pattern: "^2 ", regex: true, glob: "**/*.txt" }),
    /\/shared\/a\/river\.txt:2: 2 Fluss/,
  );
  assert.match(await ok("file_list", { recursive: true }), /\/shared\/a\/river\.txt/);
  assert.match(await ok("file_delete", { path: "/shared/a/river.txt" }), /Deleted/);
  assert.deepEqual(temp.kept.entries().map((entry) => [entry.path, entry.bytes]), [
    ["/shared/a/river.txt", 14],
    ["/shared/a/river.txt", 12],
  ]);
  Deno.symlinkSync(join(temp.outside, "secret.txt"), join(temp.shared, "link"));
  const refused: [string, unknown, string][] = [
    ["file_read", { path: "/shared/link" }, "path_outside"],
    ["file_read", { path: "/shared/../outside/secret.txt" }, "path_invalid"],
    ["file_read", { path: "/etc/passwd" }, "path_outside"],
    ["file_read", { path: "/vault/key" }, "tool_denied"],
    ["file_write", { path: "/vault/key", content: "" }, "tool_denied"],
    ["file_read", { path: "/shared/none" }, "file_not_found"],
    ["file_read", { file: "/shared/none" }, "tool_args_invalid"],
  ];
  for (const [tool, args, code] of refused) {
    const outcome = await call(tool, args);
    assert.equal(outcome.code, code, outcome.text);
    assert.ok(!outcome.text.includes(temp.dir) && !outcome.text.includes("SECRET"));
  }
});

Deno.test("openBroker() stops a catastrophic search when it is cancelled, and serves the next call", async () => {
  using temp = openTempFiles();
  await using real = await openRealBroker(temp);
  Deno.writeTextFileSync(join(temp.shared, "a"), `${"a".repeat(60)}!`);
  const abort = new AbortController();
  const hung = real.broker.call(
    requestOf({ pattern: "^(a|aa)+$", regex: true }, { tool: "file_search" }),
    abort.signal,
  );
  const quick = await real.broker.call(requestOf({ path: "/shared/a" }, { tool: "file_read" }), never);
  assert.equal(quick.kind, "ok");
  abort.abort();
  await assert.rejects(hung, { code: "cancelled" });
  assert.equal((await real.broker.call(requestOf({ path: "/shared/a" }, { tool: "file_read" }), never)).kind, "ok");
});
