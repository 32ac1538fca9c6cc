import assert from "node:assert/strict";
import { type Ask, toImports } from "#/sandbox/child_imports.ts";
import { INTERFACES, toImportName } from "#/sandbox/component_interfaces.ts";

const WIT = Deno.readTextFileSync(new URL("../../tools-wasm/wit/tool.wit", import.meta.url));

Deno.test("INTERFACES are those of tool.wit, and the child has functions for each", () => {
  const declared = [...WIT.matchAll(/^interface ([a-z-]+) \{$/gm)].map((match) => match[1]!).filter((name) =>
    name !== "types"
  );
  assert.deepEqual([...INTERFACES].sort(), declared.sort());
  const imports = toImports((() => ({})) as unknown as Ask, () => true);
  assert.deepEqual(Object.keys(imports).sort(), INTERFACES.map(toImportName).sort());
});

Deno.test("a world imports no more than its tools call: the web tools reach no file, the file tools no network", () => {
  const worlds = [...WIT.matchAll(/^world ([a-z]+) \{([^]*?)^\}$/gm)].map(([, name, body]) =>
    [name, [...body!.matchAll(/^ {2}import ([a-z-]+);$/gm)].map((match) => match[1])] as const
  );
  assert.deepEqual(Object.fromEntries(worlds), {
    files: ["fs-read", "fs-write"],
    web: ["http", "config", "random", "log"],
  });
});
