import assert from "node:assert/strict";
import {
  capMemory,
  checkNames,
  Reader,
  readerOf,
  sectionsOf,
  toQuietGlue,
  toSafeCore,
} from "#/sandbox/component_core.ts";

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

Deno.test("checkNames() lets what toSafeCore() gives back pass, and toSafeCore() refuses what it does not", async () => {
  const bounds = { pagesMax: 300, tableEntriesMax: 4, segmentsMax: 2 };
  const safe = await toSafeCore(moduleWithMemory([0, 1]), bounds);
  assert.throws(() => memoryOf(safe).grow(300), RangeError);
  const section = (id: number, ...body: number[]) => new Uint8Array([...HEAD, id, body.length, ...body]);
  await toSafeCore(section(4, 1, 0x70, 0, 4), bounds);
  await toSafeCore(section(11, 2, 1, 0, 1, 0), bounds);
  const wrong: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [section(4, 1, 0x70, 0, 5), /tables start with 5 entries, 4 are allowed/],
    [section(4, 2, 0x70, 0, 3, 0x6f, 0, 2), /tables start with 5 entries/],
    [section(4, 1, 0x70, 4, 1), /table is shared or 64-bit/],
    [section(5, 2, 0, 1, 0, 1), /more than one memory/],
    [section(11, 3, 1, 0, 1, 0, 1, 0), /more than 2 segments/],
    [moduleWithMemory([0, 1], "a'"), /export name is unsafe/],
    [section(5, 1), /cut off/],
    [new Uint8Array([...HEAD, 99, 0]), /./],
  ];
  for (const [module, message] of wrong) await assert.rejects(toSafeCore(module, bounds), { message }, `${message}`);
});

Deno.test("toQuietGlue() takes the look at the environment away, and refuses another one", () => {
  const quiet = (text: string) => new TextDecoder().decode(toQuietGlue(new TextEncoder().encode(text)));
  assert.equal(quiet("if (!globalThis?.process?.env?.JCO_DEBUG) { return; }"), "if (!false) { return; }");
  assert.throws(() => quiet("process.env.JCO_DEBUG"), /in a new way/);
});

Deno.test("Reader reads numbers and names, and nothing behind its section", () => {
  const bytes = new Uint8Array([...HEAD, 1, 4, 0xff, 0xff, 0xff, 0xff, 2, 3, 1, 97, 200]);
  const [first, second] = [...sectionsOf(bytes)];
  assert.deepEqual([first, second], [
    { id: 1, at: 8, bodyAt: 10, end: 14 },
    { id: 2, at: 14, bodyAt: 16, end: 19 },
  ]);
  assert.throws(() => readerOf(bytes, first!).u32(), /cut off/);
  assert.equal(readerOf(bytes, second!).name(), "a");
  assert.equal(new Reader(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f]), 0, 5).u32(), 0xffff_ffff);
  assert.throws(() => new Reader(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x1f]), 0, 5).u32(), /broken/);
  assert.throws(() => new Reader(new Uint8Array([9]), 0, 1).name(), /cut off/);
  assert.throws(() => [...sectionsOf(new Uint8Array([...HEAD, 1, 9]))], /cut off/);
});
