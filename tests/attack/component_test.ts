/** A foreign component package: what it can do to whoever judges it, and what passes the checks that should not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { openBindgen } from "#/sandbox/component.ts";
import { listEntries } from "#/sandbox/component_cache.ts";
import { readImports } from "#/sandbox/component_check.ts";
import { type InstallDeps, installPackage } from "#/sandbox/component_install.ts";
import { ScratchCopy } from "../fixture/scratch_copy.ts";
import { assemble, coreOf, makeInstall, plainWat, toPackage } from "../sandbox/component_kit.ts";

const EVIL = "a'];globalThis.PWNED=1;//";
/** The same in the place of a key. */
const EVIL_KEY = "x':globalThis.PWNED=1,'y";
const evilImport = (from: string, name: string) =>
  `(component
    (core module $x (func (export "g")))
    (core instance $x (instantiate $x))
    (core instance $w (export "${name}" (func $x "g")))
    (core module $m (import "${from}" "${name}" (func)) (func (export "f")))
    (core instance $i (instantiate $m (with "${from}" (instance $w))))
    (func (export "describe") (canon lift (core func $i "f")))
    (func (export "execute") (canon lift (core func $i "f"))))`;
const core = (parts: string) => plainWat("", `(core module $m ${parts} (func (export "f")))`);
const imported = (...names: string[]) => plainWat(names.map((name) => `(import "${name}" (instance))`).join("\n"));
const many = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, at) => part(at)).join("\n");

const components = await assemble({
  good: { core: coreOf() },
  exportName: {
    wat: `(component
      (core module $m (func (export "${EVIL}")))
      (core instance $i (instantiate $m))
      (func (export "describe") (canon lift (core func $i "${EVIL}")))
      (func (export "execute") (canon lift (core func $i "${EVIL}"))))`,
  },
  importName: { wat: evilImport("env", EVIL_KEY) },
  importModule: { wat: evilImport(EVIL_KEY, "g") },
  undeclared: {
    core: coreOf({
      imports: `(import "oxydra:tool/fs-write@0.1.0" "remove" (func $remove (param i32 i32 i32)))`,
      execute: `(call $remove (i32.const 272) (i32.const 13) (i32.const 128)) (i32.const 64)`,
    }),
  },
  undeclaredEmpty: { wat: imported("oxydra:tool/fs-write@0.1.0") },
  wasi: { wat: imported("wasi:cli/environment@0.2.0") },
  unknown: { wat: imported("oxydra:tool/shell@0.1.0") },
  otherVersion: { wat: imported("oxydra:tool/fs-read@0.2.0") },
  noVersion: { wat: imported("oxydra:tool/fs-read") },
  twoVersions: { wat: imported("oxydra:tool/fs-read@0.1.0", "oxydra:tool/fs-read@0.2.0") },
  twice: { wat: imported("oxydra:tool/fs-read@0.1.0", "oxydra:tool/fs-read") },
  importsFunction: { wat: plainWat(`(import "f" (func))`) },
  importsModule: { wat: plainWat(`(import "f" (core module))`) },
  startSection: { wat: core(`(start 0)`) },
  noExecute: {
    wat: `(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "describe") (canon lift (core func $i "f"))))`,
  },
  oneMore: {
    wat: plainWat("").replace(/\)$/, `(func (export "more") (canon lift (core func $i "f"))))`),
  },
  exportsInterface: {
    wat: plainWat("").replace(
      /\)$/,
      `(func $d (canon lift (core func $i "f"))) (instance $e (export "x" (func $d))) (export "a:b/c" (instance $e)))`,
    ),
  },
  sharedMemory: { wat: core(`(memory 1 2 shared)`) },
  wideMemory: { wat: core(`(memory i64 1)`) },
  twoMemories: { wat: core(`(memory 1) (memory 1)`) },
  largeMemory: { wat: core(`(memory ${LIMITS.componentPagesMax + 1})`) },
  largestMemory: { wat: core(`(memory ${LIMITS.componentPagesMax})`) },
  largeTable: { wat: core(`(table ${LIMITS.componentTableEntriesMax + 1} funcref)`) },
  twoTables: { wat: core(many(2, () => `(table ${LIMITS.componentTableEntriesMax / 2 + 1} externref)`)) },
  manySegments: { wat: core(`(memory 1) ${many(LIMITS.componentSegmentsMax + 1, () => `(data "")`)}`) },
  manyModules: {
    wat: plainWat(
      many(LIMITS.componentFilesMax, (at) => `(core module $m${at} (func (export "g${at}")))`) +
        many(LIMITS.componentFilesMax, (at) => `(core instance (instantiate $m${at}))`),
    ),
  },
  manyInstances: {
    wat: plainWat(`(core module $n) ${many(LIMITS.componentInstancesMax, () => `(core instance (instantiate $n))`)}`),
  },
});

/** Each component with what its refusal says. */
const REFUSED: readonly (readonly [name: Exclude<keyof typeof components, "good">, reason: RegExp])[] = [
  ["exportName", /an export name is unsafe/],
  ["importName", /an import name is unsafe/],
  ["importModule", /an import name is unsafe/],
  ["undeclared", /imports oxydra:tool\/fs-write@0\.1\.0, which its manifest does not/],
  ["undeclaredEmpty", /imports oxydra:tool\/fs-write@0\.1\.0, which its manifest does not/],
  ["wasi", /imports wasi:cli\/environment@0\.2\.0, which is not known/],
  ["unknown", /imports oxydra:tool\/shell@0\.1\.0, which is not known/],
  ["otherVersion", /not version 0\.1\.0/],
  ["noVersion", /not version 0\.1\.0/],
  ["twoVersions", /imports oxydra:tool\/fs-read twice/],
  ["twice", /imports oxydra:tool\/fs-read twice/],
  ["importsFunction", /imports "f", which is no interface/],
  ["importsModule", /imports "f", which is no interface/],
  ["noExecute", /exports describe, not describe and execute/],
  ["oneMore", /exports describe,execute,more/],
  ["exportsInterface", /exports .*\(instance\)/],
  ["sharedMemory", /shared or 64-bit/],
  ["wideMemory", /shared or 64-bit/],
  ["twoMemories", /more than one memory|cannot be transpiled/],
  ["largeMemory", /starts with 1025 pages/],
  ["largeTable", /tables start with 65537 entries/],
  ["twoTables", /tables start with 65538 entries/],
  ["manySegments", /more than 16384 segments/],
  ["manyModules", /more than 63 core modules/],
  ["manyInstances", /65 core instances/],
];

Deno.test("a component that asks for more, or is not what it should be, is refused by the inspection, and nothing is left", async () => {
  await using deps = await makeInstall();
  for (const [name, message] of REFUSED) {
    await assert.rejects(installPackage(await toPackage(components[name]), deps), {
      code: "component_invalid",
      message,
    }, name);
    assert.deepEqual([deps.processes(), listEntries(deps.dir)], [[], []], name);
  }
  // Refused later, by what it says: these passed the inspection, so the refusals above are not refusals of everything.
  for (const name of ["largestMemory", "startSection"] as const) {
    await assert.rejects(installPackage(await toPackage(components[name]), deps), { message: /describe/ }, name);
  }
  assert.equal((await installPackage(await toPackage(components.good), deps)).manifest.name, "probe");
  assert.deepEqual(deps.processes(), []);
});

/** The inspection of a copy of src in which one text is another one. */
function withoutDefence(deps: InstallDeps, file: string, text: string, off: string): InstallDeps & Disposable {
  const scratch = new ScratchCopy(["src", "deno.json"]);
  scratch.replace(file, text, off);
  const args = deps.inspectPlan.args.map((arg) =>
    arg.replace(/^file:.*\/src\//, scratch.srcUrl).replace(/^\/.*deno\.json$/, join(scratch.root, "deno.json"))
  );
  return { ...deps, inspectPlan: { ...deps.inspectPlan, args }, [Symbol.dispose]: () => scratch[Symbol.dispose]() };
}

/** Instantiates what an inspection let through, without any permission, and says whether the name ran. */
async function loadAndLook(dir: string, deps: InstallDeps, component: Uint8Array<ArrayBuffer>): Promise<string> {
  const plan = deps.childPlan;
  const script = join(dir, "child.ts");
  // In the place of a tool child: takes the same frames, and tells what the glue did to its realm.
  await Deno.writeTextFile(
    script,
    `
    const bytes = new Uint8Array(8_388_608); let length = 0;
    const need = (count) => { while (length < count) { const got = Deno.stdin.readSync(bytes.subarray(length)); if (got === null) Deno.exit(1); length += got; } };
    let at = 0; const frame = () => { need(at + 4); const size = new DataView(bytes.buffer).getUint32(at); need(at + 4 + size); const body = bytes.slice(at + 9, at + 4 + size); at += 4 + size; return body; };
    const { files } = JSON.parse(new TextDecoder().decode(frame())); const cores = {}; let glue;
    for (const { name, bytes: size } of files) { let body = new Uint8Array(0); while (body.length < size) body = new Uint8Array([...body, ...frame()]);
      if (name.endsWith(".js")) glue = body; else cores[name] = await WebAssembly.compile(body); }
    const { instantiate } = await import(URL.createObjectURL(new Blob([glue], { type: "text/javascript" })));
    try { await instantiate((name) => cores[name], {}, (m, i) => new WebAssembly.Instance(m, i)); } catch {}
    const head = new TextEncoder().encode(JSON.stringify({ v: 1, type: "load_failed", message: globalThis.PWNED === 1 ? "it ran" : "it did not run" }));
    const out = new Uint8Array(9 + head.length); new DataView(out.buffer).setUint32(0, head.length + 5); out.set(head, 9);
    Deno.stdout.writeSync(out); Deno.stdin.readSync(new Uint8Array(1));`,
  );
  const entry = plan.args.findIndex((arg) => arg.endsWith("/child.ts"));
  const childPlan = { ...plan, args: plan.args.with(entry, script) };
  return await installPackage(await toPackage(component), { ...deps, childPlan }).then(
    () => "",
    (error) => error.message,
  );
}

Deno.test("a name that leaves its quotes runs as code where names are not checked; with the check the same component is refused", async () => {
  await using deps = await makeInstall();
  using scratch = withoutDefence(deps, "src/sandbox/component_core.ts", "  checkNames(module);\n", "");
  for (const name of ["exportName", "importName", "importModule"] as const) {
    const message = await loadAndLook(deps.dir, scratch, components[name]);
    assert.match(message, /it ran$/, `${name}: the attack is not one`);
    assert.match(await loadAndLook(deps.dir, deps, components[name]), /name is unsafe/, name);
  }
  assert.match(await loadAndLook(deps.dir, deps, components.good), /it did not run$/);
});

Deno.test("a component that is cut off, garbage or damaged ends as a refusal, whatever it does to the transpiler", async () => {
  await using deps = await makeInstall();
  const { good } = components;
  const cut = (bytes: number) => good.slice(0, bytes);
  const damaged = (at: number) => good.with(at, good[at]! ^ 0x55);
  const garbage = crypto.getRandomValues(new Uint8Array(4_096));
  garbage.set(good.subarray(0, 8));
  const step = Math.ceil(good.length / 16);
  const places = Array.from({ length: 16 }, (_, index) => index * step);
  const cases = [new Uint8Array(0), garbage, ...places.map(cut), ...places.map(damaged)];
  let refused = 0;
  await eachOf(cases, 2, async (component) => {
    const end = await installPackage(await toPackage(component), deps).then(() => "installed", (error) => error.code);
    // A byte of its data or of its custom sections may change and leave a component that is as good.
    assert.ok(end === "installed" || end === "component_invalid", end);
    if (end === "component_invalid") refused++;
  });
  assert.ok(refused >= 25, `${refused} of ${cases.length} refused`);
  assert.deepEqual(deps.processes(), []);
});

Deno.test("a component that is cut off at any kilobyte is seen before it reaches the transpiler", async () => {
  const { component } = JSON.parse(await Deno.readTextFile(new URL("../../tools-wasm/files.json", import.meta.url)));
  const stream = new Blob([Uint8Array.fromBase64(component.gz)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const whole = await new Response(stream).bytes();
  assert.deepEqual(readImports(whole).length, 3);
  let cuts = 0;
  for (let end = 1_024; end < whole.length; end += 1_024, cuts++) {
    assert.throws(() => readImports(whole.slice(0, end)), Error, `cut at ${end}`);
  }
  assert.ok(cuts > 900);
});

Deno.test("a transpiler that is not the pinned one, or that unpacks without an end, is not run", async () => {
  const read = async () =>
    JSON.parse(await Deno.readTextFile(new URL("../../tools-wasm/bindgen.json", import.meta.url)));
  assert.equal((await openBindgen(await read())).length, 3);
  const gzip = async (bytes: Uint8Array<ArrayBuffer>) =>
    (await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes()).toBase64();
  const bomb = await read();
  bomb.files[0].gz = await gzip(new Uint8Array(LIMITS.componentFileBytesMax + 1));
  assert.ok(bomb.files[0].gz.length < 40_000);
  await assert.rejects(openBindgen(bomb), { code: "component_invalid", message: /larger than/ });
  const foreign = await read();
  const bytes = new TextEncoder().encode("export const generate = () => ({});");
  foreign.files[0].gz = await gzip(bytes);
  await assert.rejects(openBindgen(foreign), { message: /does not match its sha256/ });
  foreign.files[0].sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  await assert.rejects(openBindgen(foreign), { message: /is another one \([0-9a-f]{64}\) than this version pins/ });
  await assert.rejects(openBindgen({ files: [] }), { message: /malformed/ });
});

/** `width` at a time: a start of Deno takes a core. */
async function eachOf<T>(items: readonly T[], width: number, run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(Array.from({ length: width }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await run(item);
  }));
}
