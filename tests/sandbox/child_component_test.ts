import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { executeGuarded, type Instance, loadComponent, toOutput } from "#/sandbox/child_component.ts";
import { type Ask, toImports } from "#/sandbox/child_imports.ts";
import { openFilesComponent } from "./child_kit.ts";

const NOTHING = toImports(
  (() => ({ value: { bytes: 0, sha256: "" }, content: new Uint8Array(0) })) as unknown as Ask,
  () => true,
);

function instanceOf(execute: Instance["execute"]): Instance {
  return { describe: () => "", execute };
}

Deno.test("loadComponent() makes instances that share nothing, and keeps `init` to itself", async () => {
  const { files } = await openFilesComponent();
  const instantiate = await loadComponent(files);
  const [first, second] = [await instantiate(NOTHING), await instantiate(NOTHING)];
  assert.deepEqual(Object.keys(first), ["describe", "execute"]);
  assert.equal(JSON.parse(first.describe()).name, "files");
  assert.notEqual(first.execute, second.execute);
  assert.equal(second.execute("file_read", '{"path":"/shared/a"}'), "[/shared/a is empty]");
});

Deno.test("loadComponent() refuses what does not compile", async () => {
  const glue = { name: "tool.js", bytes: new TextEncoder().encode("export const instantiate = 1;") };
  await assert.rejects(loadComponent([]), /no glue/);
  await assert.rejects(loadComponent([glue, { name: "a.wasm", bytes: new Uint8Array([1]) }]), WebAssembly.CompileError);
  await assert.rejects(loadComponent([{ ...glue, bytes: new TextEncoder().encode("export {") }]), /SyntaxError/);
});

Deno.test("executeGuarded() returns the text, a failure record, or what trapped", () => {
  const run = (execute: Instance["execute"]) => executeGuarded(instanceOf(execute), "t", "{}", 1_000);
  assert.deepEqual(run((tool, args) => tool + args), { kind: "done", ok: true, code: "ok", text: "t{}" });
  assert.deepEqual(
    run(() => {
      throw { code: "file_not_found", message: "gone" };
    }),
    { kind: "done", ok: false, code: "file_not_found", text: "gone" },
  );
  assert.deepEqual(
    run(() => {
      throw new WebAssembly.RuntimeError("unreachable");
    }),
    { kind: "done", ok: false, code: "tool_crashed", text: "the tool stopped: unreachable" },
  );
  assert.equal(
    (run(() => {
      // deno-lint-ignore no-throw-literal -- hostile glue does not keep to the rules
      throw null;
    }) as { code: string }).code,
    "tool_crashed",
  );
  assert.ok(!("__oxydraCall" in globalThis));
});

Deno.test("executeGuarded() stops a loop at its deadline", () => {
  let turns = 0;
  const endless = instanceOf(() => {
    for (;;) {
      try {
        turns++;
      } catch {
        continue;
      }
    }
  });
  assert.deepEqual(executeGuarded(endless, "t", "{}", 50), { kind: "timeout" });
  assert.ok(turns > 0);
});

Deno.test("toOutput() cuts at the limit, on a character, and says how long it was", () => {
  assert.deepEqual(toOutput("é"), { content: new Uint8Array([0xc3, 0xa9]), outputBytes: 2 });
  const limit = LIMITS.toolOutputBytesMax;
  assert.equal(toOutput("x".repeat(limit)).content.length, limit);
  const cut = toOutput("x".repeat(limit - 1) + "😀y");
  assert.deepEqual([cut.content.length, cut.outputBytes], [limit - 1, limit + 4]);
  assert.equal(toOutput("x".repeat(limit - 4) + "😀y").content.length, limit);
});
