import assert from "node:assert/strict";
import { capMemory, checkNames } from "#/sandbox/component_core.ts";

const HEAD = [0, 97, 115, 109, 1, 0, 0, 0];

/** A module with one memory, exported under `name`; `limits` as the binary format has them. */
function moduleWithMemory(limits: readonly number[], name = "m"): Uint8Array<ArrayBuffer> {
  const bytes = [...new TextEncoder().encode(name)];
  return new Uint8Array([
    ...HEAD,
    5,
    1 + limits.length,
    1,
    ...limits,
    7,
    4 + bytes.length,
    1,
    bytes.length,
    ...bytes,
    2,
    0,
  ]);
}

function memoryOf(module: Uint8Array<ArrayBuffer>): WebAssembly.Memory {
  return new WebAssembly.Instance(new WebAssembly.Module(module)).exports.m as WebAssembly.Memory;
}

Deno.test("capMemory() lets a memory without a maximum grow to the cap and no page further", () => {
  const memory = memoryOf(capMemory(moduleWithMemory([0, 1]), 300));
  assert.equal(memory.grow(299), 1);
  assert.throws(() => memory.grow(1), RangeError);
});

Deno.test("capMemory() keeps a smaller maximum and lowers a larger one", () => {
  assert.throws(() => memoryOf(capMemory(moduleWithMemory([1, 1, 2]), 300)).grow(2), RangeError);
  assert.throws(() => memoryOf(capMemory(moduleWithMemory([1, 1, 0x80, 0x08]), 300)).grow(300), RangeError);
});

Deno.test("capMemory() leaves a module without a memory alone", () => {
  const module = new Uint8Array(HEAD);
  assert.deepEqual(capMemory(module, 1), module);
});

Deno.test("capMemory() refuses what it cannot cap", () => {
  assert.throws(() => capMemory(moduleWithMemory([0, 2]), 1), /starts with 2 pages, 1 are allowed/);
  assert.throws(() => capMemory(moduleWithMemory([4, 1]), 1), /64-bit/);
  assert.throws(() => capMemory(moduleWithMemory([3, 1, 1]), 1), /shared/);
  assert.throws(() => capMemory(new Uint8Array([...HEAD, 5, 0xff]), 1), /cut off/);
  assert.throws(() => capMemory(new Uint8Array([...HEAD, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), 1), /broken/);
});

Deno.test("checkNames() refuses names that leave their quotes in the glue", () => {
  const check = (name: string) => () => checkNames(new WebAssembly.Module(moduleWithMemory([0, 1], name)));
  check("[method]res.do-it#1")();
  for (const name of ["a'];globalThis.PWNED=1;//", "a\\", "a`", 'a"', "a\nb", "a\u2028b"]) {
    assert.throws(check(name), /export name is unsafe/, JSON.stringify(name));
  }
});

Deno.test("checkNames() refuses them in imports too", () => {
  const imported = (from: string, name: string) => {
    const text = (part: string) => [part.length, ...new TextEncoder().encode(part)];
    const entry = [...text(from), ...text(name), 2, 0, 1];
    return new WebAssembly.Module(new Uint8Array([...HEAD, 2, 1 + entry.length, 1, ...entry]));
  };
  checkNames(imported("env", "memory"));
  assert.throws(() => checkNames(imported("e'", "memory")), /import name is unsafe/);
  assert.throws(() => checkNames(imported("env", "m'")), /import name is unsafe/);
});
