import type { FileHostCall } from "#/sandbox/host_call.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { toTools } from "#/tools/registry.ts";
import type { ToolReply } from "#/sandbox/outcome.ts";
import { never, openRealChildren } from "./child_kit.ts";
import { openTempFiles, type TempFiles } from "./temp_files.ts";

/** Runs one tool with arguments as a model gives them: parsed by its schema, in a real child, on real files. */
type RunTool = (tool: string, args: unknown) => Promise<ToolReply>;

async function withTools(test: (run: RunTool, temp: TempFiles) => Promise<void>): Promise<void> {
  using temp = openTempFiles();
  await using children = await openRealChildren();
  await test(async (tool, args) => {
    const request = {
      tool,
      args: toTools().get(tool)!.args.parse(args),
      timeoutMs: 20_000,
      interfaces: ["fs-read", "fs-write"],
    };
    using call = temp.files.openCall();
    const allowance = { bytesMax: 300_000_000, entriesMax: 10_000 };
    return await children.run(
      request,
      (hostCall, signal) => call.run(hostCall as FileHostCall, allowance, signal),
      never(),
    );
  }, temp);
}

Deno.test("the file tools work on real files through a real child, one after another", async () => {
  await withTools(async (run, temp) => {
    const text = async (tool: string, args: unknown) => (await run(tool, args)).text;
    assert.equal(await text("file_list", {}), "[/shared is empty]");
    assert.equal(
      await text("file_write", { path: "/shared/notes/a.md", content: "alpha\nbeta\n" }),
      "Created /shared/notes/a.md (11 bytes).",
    );
    assert.equal(await text("file_read", { path: "/shared//notes/a.md" }), "alpha\nbeta\n");
    assert.equal(
      await text("file_edit", { path: "/shared/notes/a.md", old_text: "beta", new_text: "gamma\ndelta" }),
      "Edited /shared/notes/a.md: 1 replacement at line 2 (11 bytes before, 18 after).",
    );
    assert.equal(Deno.readTextFileSync(join(temp.shared, "notes/a.md")), "alpha\ngamma\ndelta\n");
    assert.equal(
      await text("file_search", { pattern: "^(gam|del)", regex: true, glob: "*.md" }),
      "/shared/notes/a.md:2: gamma\n/shared/notes/a.md:3: delta\n[2 matching lines in 1 file; 1 file searched below /shared matching *.md]",
    );
    assert.equal(
      await text("file_search", { pattern: "delta", path: "/shared/notes/a.md" }),
      "/shared/notes/a.md:3: delta\n[1 matching line in 1 file; 1 file searched below /shared/notes/a.md]",
    );
    assert.equal(
      await text("file_list", { recursive: true }),
      "/shared/notes/\n/shared/notes/a.md (18 bytes)\n[2 entries]",
    );
    assert.equal(
      await text("file_write", { path: "/shared/notes/a.md", content: "" }),
      "Replaced /shared/notes/a.md (0 bytes).",
    );
    assert.equal(await text("file_delete", { path: "/shared/notes/a.md" }), "Deleted /shared/notes/a.md (0 bytes).");
    const gone = await run("file_read", { path: "/shared/notes/a.md" });
    assert.deepEqual([gone.ok, gone.code], [false, "file_not_found"]);
    assert.match(gone.text, /\/shared\/notes\/a\.md does not exist/);
  });
});

Deno.test("a big file is read in parts and edited whole", async () => {
  await withTools(async (run, temp) => {
    const lines = Array.from({ length: 60_000 }, (_, index) => `row ${index} ${"·".repeat(15)}`);
    Deno.writeTextFileSync(join(temp.shared, "big.txt"), lines.join("\n"));
    const part = await run("file_read", { path: "/shared/big.txt", start_line: 59_999 });
    assert.equal(part.text, `[/shared/big.txt: lines 59999-60000 of 60000]\n${lines.slice(-2).join("\n")}`);
    const edited = await run("file_edit", { path: "/shared/big.txt", old_text: "row 30000 ", new_text: "ROW " });
    assert.match(edited.text, /1 replacement at line 30001/);
    assert.ok(Deno.readTextFileSync(join(temp.shared, "big.txt")).includes("\nROW ··"));
  });
});

Deno.test("what is no text, no file or a link is refused in words", async () => {
  await withTools(async (run, temp) => {
    Deno.writeFileSync(join(temp.shared, "binary"), new Uint8Array([0, 159, 146, 150]));
    Deno.symlinkSync(join(temp.outside, "secret.txt"), join(temp.shared, "link"));
    for (const path of ["/shared/binary", "/shared/link", "/shared"]) {
      const outcome = await run("file_read", { path });
      assert.equal(outcome.ok, false, path);
      assert.ok(!outcome.text.includes("SECRET") && !outcome.text.includes(temp.dir), outcome.text);
    }
    const search = await run("file_search", { pattern: "SECRET" });
    assert.match(search.text, /^\[no match; 0 files searched below \/shared; 1 skipped/);
    const missing = await run("file_search", { pattern: "x", path: "/shared/none" });
    assert.deepEqual([missing.ok, missing.code], [false, "file_not_found"]);
  });
});
