/** Installs, each with a real process of src/sandbox/component_inspect.ts and a real tool child. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { openChildren } from "#/sandbox/children.ts";
import { type InstalledPackage, listEntries, readEntry } from "#/sandbox/component_cache.ts";
import { installPackage } from "#/sandbox/component_install.ts";
import { answerWith, never } from "./child_kit.ts";
import { assemble, coreOf, DONE, makeInstall, READ, toPackage, TRUSTS_NOTHING } from "./component_kit.ts";

const components = await assemble({
  reads: { core: coreOf({ ...READ, execute: `(if (call $read) (then (return ${DONE}))) (unreachable)` }) },
  plain: { core: coreOf() },
  otherName: { core: coreOf({ describe: { name: "files", version: "1.0.0", tools: ["probe"] } }) },
  otherTools: { core: coreOf({ describe: { name: "probe", version: "1.0.0", tools: ["probe", "more"] } }) },
  noJson: { core: coreOf({ describe: "no object" }) },
});

/** Without the functions of its tools. */
function whatOf({ manifest, component, path, trusted }: InstalledPackage) {
  return { manifest, component, path, trusted };
}

Deno.test("installPackage() makes of a component what a tool child loads, and of its manifest what the broker asks", async () => {
  await using deps = await makeInstall();
  const installed = await installPackage(await toPackage(components.reads), deps);
  assert.deepEqual(installed.component.interfaces, ["fs-read"]);
  assert.deepEqual(installed.tools.map(({ name }) => name), ["probe"]);
  assert.deepEqual(installed.tools[0]!.needs({ path: "/shared//a.txt/" }), [
    { kind: "fs.read", path: "/shared/a.txt", scope: "file", bytesMax: 1_024 },
  ]);
  const pool = openChildren({ component: installed.component, plan: deps.childPlan });
  const call = { tool: "probe", args: {}, timeoutMs: 5_000, interfaces: ["fs-read"] };
  const outcome = await pool.run(call, answerWith("a river"), never());
  const refused = await pool.run({ ...call, interfaces: [] }, answerWith("a river"), never());
  await pool.close();
  assert.deepEqual([outcome.code, outcome.text], ["ok", "done"]);
  assert.equal(refused.ok, false, "the grant of this call opens no interface");
  assert.deepEqual(deps.processes(), []);
});

Deno.test("installPackage() inspects once: what lies in the cache and is trusted is taken, what is not is made again", async () => {
  let inspected = 0;
  await using made = await makeInstall();
  const deps = { ...made, loadBindgen: () => (inspected++, made.loadBindgen()) };
  const source = await toPackage(components.plain);
  const first = await installPackage(source, deps);
  const second = await installPackage(source, deps);
  assert.deepEqual([inspected, whatOf(second)], [1, whatOf(first)]);
  await Deno.writeTextFile(join(first.path, "tool.js"), "export function instantiate() { throw 'foreign'; }");
  const third = await installPackage(source, deps);
  assert.deepEqual([inspected, whatOf(third)], [2, whatOf(first)]);
  await installPackage(source, { ...deps, trusts: TRUSTS_NOTHING });
  assert.equal(inspected, 3, "a cloned folder may bring a cache of its own");
  assert.deepEqual(whatOf(await readEntry(first.path, () => true)), whatOf(first));
  assert.deepEqual(listEntries(deps.dir), [first.path], "and no half-written one");
});

Deno.test("installPackage() refuses a component that says another thing of itself than its manifest", async () => {
  await using deps = await makeInstall();
  for (const name of ["otherName", "otherTools", "noJson"] as const) {
    await assert.rejects(installPackage(await toPackage(components[name]), deps), {
      code: "component_invalid",
      message: /describes? itself/,
    }, name);
  }
  assert.deepEqual([listEntries(deps.dir), deps.processes()], [[], []]);
});

Deno.test("installPackage() refuses another component than the manifest's, and one over componentBytesMax", async () => {
  await using deps = await makeInstall();
  const { manifest } = await toPackage(components.plain);
  await assert.rejects(installPackage({ manifest, component: components.reads }, deps), { message: /sha256/ });
  const large = new Uint8Array(LIMITS.componentBytesMax + 1);
  await assert.rejects(installPackage(await toPackage(large), deps), { message: /over 16777216 bytes/ });
  // At the limit it is looked at.
  const full = new Uint8Array(LIMITS.componentBytesMax);
  await assert.rejects(installPackage(await toPackage(full), deps), { message: /no WebAssembly component/ });
});

Deno.test("installPackage() kills an inspection at its deadline, and one that answers nonsense or too much is no verdict", async () => {
  await using deps = await makeInstall();
  const dir = await Deno.makeTempDir();
  const entry = async (code: string) => {
    const file = join(dir, `${crypto.randomUUID()}.ts`);
    await Deno.writeTextFile(file, code);
    return { ...deps.inspectPlan, args: [...deps.inspectPlan.args.slice(0, -2), file, deps.inspectPlan.args.at(-1)!] };
  };
  const source = await toPackage(components.plain);
  const cases: [code: string, message: RegExp][] = [
    [`for (;;) {}`, /took more than 1500 ms/],
    [`console.log("accepted")`, /no readable answer/],
    [`const part = new Uint8Array(1_048_576); for (;;) Deno.stdout.writeSync(part);`, /makes more than/],
    [`Deno.exit(3)`, /no readable answer/],
  ];
  for (const [code, message] of cases) {
    const inspectPlan = await entry(code);
    await assert.rejects(installPackage(source, { ...deps, inspectPlan, inspectMs: 1_500 }), {
      code: "component_invalid",
      message,
    }, code);
    assert.deepEqual(deps.processes(), [], code);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("installPackage() writes nothing when the disk refuses, and says so", async () => {
  await using deps = await makeInstall();
  const file = join(deps.dir, "file");
  await Deno.writeTextFile(file, "");
  await assert.rejects(installPackage(await toPackage(components.plain), { ...deps, dir: join(file, "packages") }), {
    code: "component_invalid",
    message: /probe cannot be written/,
  });
});
