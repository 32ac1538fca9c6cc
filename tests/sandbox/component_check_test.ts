import assert from "node:assert/strict";
import { checkComponent, readImports, type Transpiler } from "#/sandbox/component_check.ts";
import { LIMITS } from "#/core/limits.ts";

const text = (value: string) => new TextEncoder().encode(value);
const PREAMBLE = [0, 97, 115, 109, 13, 0, 1, 0];
const EMPTY_CORE = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

/** A component with these imports; each is a name and what follows it. */
function componentOf(...imports: (readonly [name: string, description: readonly number[]])[]): Uint8Array {
  const entries = imports.flatMap(([name, description]) => [0, name.length, ...text(name), ...description]);
  return new Uint8Array([...PREAMBLE, 10, entries.length + 1, imports.length, ...entries]);
}

const instance = [5, 0];
const GOOD = new Uint8Array(PREAMBLE);

function transpilerOf(made: Partial<ReturnType<Transpiler["generate"]>>): Transpiler {
  return {
    generate: () => ({
      files: [["tool.js", text("export function instantiate() { instantiateCore(module0); }")], [
        "tool.core.wasm",
        EMPTY_CORE,
      ]],
      imports: [],
      exports: [["execute", "function"], ["describe", "function"]],
      ...made,
    }),
  };
}

const check = (made: Parameters<typeof transpilerOf>[0], imports: string[] = []) =>
  checkComponent(GOOD, { imports, pagesMax: 1 }, transpilerOf(made));

Deno.test("checkComponent() gives back what is loaded", async () => {
  const { files, imports } = await check({ imports: ["oxydra:tool/fs-read"] }, ["oxydra:tool/fs-read"]);
  assert.deepEqual(files.map(({ name }) => name), ["tool.js", "tool.core.wasm"]);
  assert.deepEqual(imports, ["oxydra:tool/fs-read"]);
});

Deno.test("checkComponent() believes neither the component nor the transpiler alone", async () => {
  await assert.rejects(check({ imports: ["oxydra:tool/fs-read"] }), /which its manifest does not/);
  await assert.rejects(check({ imports: ["wasi:io/poll"] }), /not known/);
  await assert.rejects(
    check({ imports: ["oxydra:tool/fs-read", "oxydra:tool/fs-read"] }, ["oxydra:tool/fs-read"]),
    /twice/,
  );
  const component = componentOf(["oxydra:tool/fs-read@0.1.0", instance]);
  await assert.rejects(checkComponent(component, { imports: [], pagesMax: 1 }, transpilerOf({})), /manifest does not/);
});

Deno.test("checkComponent() refuses exports, files and glue that are not those of a tool", async () => {
  const glue = (content: string) => ({ files: [["tool.js", text(content)]] as const });
  await assert.rejects(check({ exports: [["describe", "function"]] }), /exports describe, not/);
  await assert.rejects(check({ exports: [["describe", "function"], ["execute", "instance"]] }), /execute \(instance\)/);
  await assert.rejects(check({ exports: [] }), /exports nothing/);
  await assert.rejects(check({ files: [["../tool.js", text("")]] }), /unknown name/);
  await assert.rejects(
    check({ files: Array.from({ length: LIMITS.componentFilesMax + 1 }, () => ["tool.js", text("")]) }),
    /63 core/,
  );
  await assert.rejects(check(glue("x".repeat(LIMITS.componentGlueBytesMax + 1))), /glue is over/);
  await check(glue("x".repeat(LIMITS.componentGlueBytesMax)));
  await assert.rejects(check(glue("instantiateCore(".repeat(LIMITS.componentInstancesMax + 1))), /65 core instances/);
  await check(glue("instantiateCore(".repeat(LIMITS.componentInstancesMax)));
  await assert.rejects(check(glue("process.env.JCO_DEBUG")), /JCO_DEBUG/);
  const panic = {
    generate: () => {
      throw new WebAssembly.RuntimeError("unreachable");
    },
  };
  await assert.rejects(checkComponent(GOOD, { imports: [], pagesMax: 1 }, panic), /cannot be transpiled: unreachable/);
});

Deno.test("readImports() reads interfaces, passes over names of types, and refuses every other import", () => {
  const types = componentOf(["oxydra:tool/types@0.1.0", instance], ["failure", [3, 0, 1]], [
    "oxydra:tool/fs-read@0.1.0",
    instance,
  ]);
  assert.deepEqual(readImports(types), ["oxydra:tool/types@0.1.0", "oxydra:tool/fs-read@0.1.0"]);
  const wrong: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /no WebAssembly component/],
    [EMPTY_CORE, /no WebAssembly component/],
    [new Uint8Array(LIMITS.componentBytesMax + 1), /over 16777216 bytes/],
    [componentOf(["f", [1, 0]]), /imports "f", which is no interface/],
    [componentOf(["r", [3, 1]]), /imports "r", which is no interface/],
    [new Uint8Array([...PREAMBLE, 10, 3, 1, 2, 0]), /unknown form/],
    [new Uint8Array([...PREAMBLE, 9, 0]), /section that is not known/],
    [new Uint8Array([...PREAMBLE, 12, 0]), /section that is not known/],
    [new Uint8Array([...PREAMBLE, 10, 200]), /broken|cut off/],
    [new Uint8Array([...PREAMBLE, 10, 4, 1, 0, 90, 97]), /cut off/],
    [new Uint8Array([...PREAMBLE, 10, 5, 1, 0, 1, 255, 5]), /not valid|invalid/i],
  ];
  for (const [bytes, message] of wrong) assert.throws(() => readImports(bytes), { message }, `${message}`);
});
