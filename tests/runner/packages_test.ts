import assert from "node:assert/strict";
import { basename, join } from "node:path";
import {
  addPackage,
  loadBindgen,
  type PackageOwner,
  readManifest,
  reinstallPackage,
  removePackage,
} from "#/runner/package_admin.ts";
import { openPackages, OWN_PACKAGES, toTaken, toTrusts } from "#/runner/packages.ts";
import { hasPackages, packagesDir } from "#/runner/packages_dir.ts";
import { openTools } from "#/runner/tool_host.ts";
import { LIMITS } from "#/core/limits.ts";
import { changeTrust } from "#/config/trust.ts";
import { listEntries, toInstalled, writeEntry } from "#/sandbox/component_cache.ts";
import { PackageManifest } from "#/sandbox/component_manifest.ts";
import { denoEnv, isAlive } from "../fixture/system.ts";
import { makeFolders, thisProgram, TOOL_HOST_DEFAULTS } from "../fixture/workspace.ts";
import { assemble, coreOf, DONE, READ, toManifest, toPackage } from "../sandbox/component_kit.ts";

const { reads, plain, other } = await assemble({
  reads: { core: coreOf({ ...READ, execute: `(if (call $read) (then (return ${DONE}))) (unreachable)` }) },
  plain: { core: coreOf() },
  other: { core: coreOf({ describe: { name: "other", version: "1.0.0", tools: ["other"] } }) },
});
const asOther = (tool: string, taken = "other") => ({ name: taken, tools: [{ ...TOOL, name: tool }] });
const TOOL = (await toManifest(plain)).tools[0]!;
const never = new AbortController().signal;

/** A person with a home and a workspace of their own, on the cache of this machine. */
function makeOwner(): PackageOwner {
  const home = Deno.makeTempDirSync({ prefix: "oxydra-home-" });
  return { program: thisProgram(), env: { ...denoEnv(), HOME: home }, folders: makeFolders() };
}

function open(owner: PackageOwner) {
  return openTools({ ...TOOL_HOST_DEFAULTS, ...owner });
}

const call = (tool: string, args: unknown) => ({
  principal: { user: "default", agent: ["default"], origin: "channel" } as const,
  session: "s",
  turn: "t",
  callId: crypto.randomUUID(),
  tool,
  args,
});

Deno.test("addPackage() makes a tool that the broker runs with what its manifest asked for, and no more", async () => {
  const owner = makeOwner();
  await Deno.writeTextFile(join(owner.folders.shared, "a.txt"), "rivers");
  await addPackage(await toPackage(reads), owner);
  const host = await open(owner);
  assert.deepEqual(host.offered.map(({ schema, effect }) => [schema.name, schema.parameters.required, effect]), [
    ["probe", ["path"], "read_only"],
  ]);
  const ok = await host.broker.call(call("probe", { path: "/shared/a.txt" }), never);
  // It asks for /shared/a.txt, whatever it was called with.
  const elsewhere = await host.broker.call(call("probe", { path: "/shared/b.txt" }), never);
  const vault = await host.broker.call(call("probe", { path: "/vault/key" }), never);
  const wrong = await host.broker.call(call("probe", { path: "/shared/a.txt", more: 1 }), never);
  const own = await host.broker.call(call("file_read", { path: "/shared/a.txt" }), never);
  const pids = host.childPids;
  await host.close();
  assert.deepEqual([ok.kind, ok.text, ok.tool.package], ["ok", "done", "probe"]);
  assert.deepEqual([elsewhere.kind, elsewhere.code], ["failed", "tool_crashed"]);
  assert.notEqual(vault.kind, "ok");
  assert.equal(wrong.code, "tool_args_invalid");
  assert.equal(own.text, "rivers");
  assert.deepEqual(pids.filter(isAlive), []);
});

Deno.test("addPackage() replaces a package of the same name; removePackage() leaves nothing of it", async () => {
  const owner = makeOwner();
  assert.equal(hasPackages(owner.folders), false);
  Deno.mkdirSync(join(packagesDir(owner.folders), ".oxydra-tmp-killed"), { recursive: true });
  const first = await addPackage(await toPackage(reads), owner);
  assert.deepEqual([...Deno.readDirSync(packagesDir(owner.folders))].map(({ name }) => name), [basename(first.path)]);
  const second = await addPackage(await toPackage(plain), owner);
  await addPackage(await toPackage(other, asOther("other")), owner);
  assert.notEqual(first.path, second.path);
  const { packages, refused } = await openPackages(owner.folders, owner.env.HOME);
  assert.deepEqual([packages.map(({ manifest }) => manifest.name).sort(), refused], [["other", "probe"], []]);
  assert.equal(listEntries(packagesDir(owner.folders)).length, 2);
  assert.equal(hasPackages(owner.folders), true);
  await removePackage("probe", owner);
  await removePackage("other", owner);
  assert.deepEqual(listEntries(packagesDir(owner.folders)), []);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(join(owner.env.HOME!, ".config/oxydra/trusted.json"))).files, []);
  await assert.rejects(removePackage("probe", owner), { code: "usage", message: /no installed package "probe"/ });
  await assert.rejects(reinstallPackage("probe", owner), { code: "usage" });
});

Deno.test("a tool or package of another one cannot be taken, now or by two installs at once", async () => {
  const owner = makeOwner();
  for (const tool of ["file_read", "web_fetch", "shell_exec"]) {
    const { manifest } = await toPackage(other, asOther(tool));
    await assert.rejects(readManifest(manifest, owner), { code: "component_invalid", message: /tools\.0\.name/ }, tool);
  }
  for (const name of OWN_PACKAGES) {
    const source = await toPackage(other, asOther("other", name));
    await assert.rejects(addPackage(source, owner), { message: /at name/ }, name);
  }
  const described = { name: "other", version: "1.0.0", tools: ["probe"] };
  const { clash } = await assemble({ clash: { core: coreOf({ describe: described }) } });
  const both = await Promise.allSettled([
    addPackage(await toPackage(plain), owner),
    addPackage(await toPackage(clash, asOther("probe")), owner),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  const { packages } = await openPackages(owner.folders, owner.env.HOME);
  assert.ok(toTaken(packages).tools.has("probe") && toTaken([]).tools.has("file_write"));
  // The same one again is no clash with itself.
  assert.equal((await readManifest(JSON.stringify(packages[0]!.manifest), owner)).tools[0]!.name, "probe");
});

Deno.test("a damaged package is not used, harms nobody, says which file, and is made again by a reinstall", async () => {
  const owner = makeOwner();
  const { path } = await addPackage(await toPackage(plain), owner);
  const glue = join(path, "tool.js");
  const bytes = await Deno.readFile(glue);
  await Deno.writeFile(glue, bytes.with(100, bytes[100]! ^ 1));
  const host = await open(owner);
  assert.deepEqual([host.offered, host.refused.map((one) => one.path)], [[], [path]]);
  assert.match(host.refused[0]!.reason, /tool\.js is not what was installed/);
  const gone = await host.broker.call(call("probe", { path: "/shared/a" }), never);
  const own = await host.broker.call(call("file_list", {}), never);
  await host.close();
  assert.deepEqual([gone.code, own.kind], ["tool_unknown", "ok"]);
  await reinstallPackage("probe", owner);
  assert.deepEqual((await openPackages(owner.folders, owner.env.HOME)).refused, []);
  assert.deepEqual(await Deno.readFile(glue), bytes);
  await Deno.writeTextFile(join(path, "manifest.json"), "{}");
  await assert.rejects(reinstallPackage("probe", owner), { code: "usage" });
  await removePackage(path.split("/").at(-1)!, owner);
  assert.deepEqual(listEntries(packagesDir(owner.folders)), [], "one that lost its name goes by that of its folder");
});

Deno.test("a package that a cloned folder brought along is not used, and not taken for an installed one", async () => {
  const owner = makeOwner();
  const source = await toPackage(plain);
  const { path } = await addPackage(source, owner);
  const stranger: PackageOwner = { ...owner, env: makeOwner().env };
  const { packages, refused } = await openPackages(stranger.folders, stranger.env.HOME);
  assert.deepEqual([packages, refused.map((one) => one.path)], [[], [path]]);
  assert.equal(toTrusts(stranger.env.HOME)(join(path, "meta.json"), "0".repeat(64)), false);
  // Consistent in itself, with other code: an install of the genuine package must not take it as it is.
  const glue = "export function instantiate() { throw 'theirs'; }";
  await Deno.writeTextFile(join(path, "tool.js"), glue);
  const meta = JSON.parse(await Deno.readTextFile(join(path, "meta.json")));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(glue));
  meta.files.find(({ name }: { name: string }) => name === "tool.js").sha256 = new Uint8Array(digest).toHex();
  await Deno.writeTextFile(join(path, "meta.json"), JSON.stringify(meta));
  await addPackage(source, stranger);
  assert.notEqual(await Deno.readTextFile(join(path, "tool.js")), glue);
  await assert.rejects(addPackage(source, { ...owner, env: {} }), { code: "usage", message: /HOME/ });
});

Deno.test("addPackage() stops at manifestsBytesMax, over all packages", async () => {
  const owner = makeOwner();
  // Descriptions are what a manifest is large by.
  const text = "x".repeat(4_000);
  const tools = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, at) => ({ ...TOOL, name: `${prefix}_${at}`, description: text }));
  const built = await assemble(Object.fromEntries(Array.from({ length: 9 }, (_, at) => {
    const names = tools(`p${at}`, 32).map(({ name }) => name);
    return [`p${at}`, { core: coreOf({ describe: { name: `p${at}`, version: "1.0.0", tools: names } }) }];
  })));
  let installed = 0;
  const end = await (async () => {
    for (const [name, component] of Object.entries(built)) {
      await addPackage(await toPackage(component, { name, tools: tools(name, 32) }), owner);
      installed++;
    }
  })().then(() => undefined, (error) => error);
  assert.equal(end?.code, "component_invalid");
  assert.match(end.message, new RegExp(`${LIMITS.manifestsBytesMax} bytes together`));
  assert.ok(installed > 5);
  const { packages, refused } = await openPackages(owner.folders, owner.env.HOME);
  assert.deepEqual([packages.length, refused], [installed, []]);
});

Deno.test("addPackage() stops at packagesMax, and replaces one of them still", async () => {
  const owner = makeOwner();
  const { manifest: text } = await toPackage(other, asOther("other"));
  const made = { imports: [], files: [{ name: "tool.js", bytes: new Uint8Array(1) }] };
  for (let at = 0; at < LIMITS.packagesMax; at++) {
    const manifest = PackageManifest.parse({
      ...JSON.parse(text),
      name: `p${at}`,
      tools: [{ ...TOOL, name: `t${at}` }],
    });
    const source = { manifest: JSON.stringify(manifest), component: other };
    const { trusted } = await writeEntry(packagesDir(owner.folders), source, toInstalled(manifest, made));
    await changeTrust(owner.env.HOME!, [], trusted);
  }
  await assert.rejects(addPackage(await toPackage(plain), owner), { message: /at most 32 packages/ });
  await removePackage("p7", owner);
  await addPackage(await toPackage(plain), owner);
  await addPackage(await toPackage(reads), owner);
  const { packages, refused } = await openPackages(owner.folders, owner.env.HOME);
  assert.deepEqual([packages.length, refused], [LIMITS.packagesMax, []]);
});

Deno.test("loadBindgen() gives the three files of the pinned transpiler", async () => {
  assert.deepEqual((await loadBindgen()).map(({ name }) => name), [
    "bindgen.js",
    "js-component-bindgen-component.core.wasm",
    "js-component-bindgen-component.core2.wasm",
  ]);
});
