import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openBindgen } from "#/sandbox/component.ts";
import { type Artefact, differences, pack, toText } from "../../tools-wasm/build/artefact.ts";

const TOOLS_WASM = fileURLToPath(new URL("../../tools-wasm", import.meta.url));

/** Runs the build script; it installs its pinned tool chain with `npm ci` when that is missing. */
async function runBuild(args: string[]): Promise<{ code: number; out: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", join(TOOLS_WASM, "build.ts"), ...args] });
  const { code, stdout, stderr } = await command.output();
  const out = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.doesNotMatch(
    out,
    /is needed|built on Linux only/,
    `tools:build needs Linux, npm and a C compiler (cc): ${out}`,
  );
  return { code, out };
}

const PACKAGES = ["files", "web"];

/** A copy of the sources and the committed artefacts in a folder of its own. */
async function copySources(): Promise<string> {
  const root = await Deno.makeTempDir({ prefix: "oxydra-tools-wasm-" });
  for (const folder of ["wit", "sdk", ...PACKAGES]) {
    await Deno.mkdir(join(root, folder));
    for await (const { name } of Deno.readDir(join(TOOLS_WASM, folder))) {
      await Deno.copyFile(join(TOOLS_WASM, folder, name), join(root, folder, name));
    }
  }
  for (const name of PACKAGES) await Deno.copyFile(join(TOOLS_WASM, `${name}.json`), join(root, `${name}.json`));
  return root;
}

Deno.test("tools:verify accepts the committed artefacts and refuses the one of a package after a change of one character", async () => {
  const root = await copySources();
  try {
    const here = await runBuild(["--verify"]);
    assert.equal(here.code, 0, here.out);

    for (
      const [file, word, name] of [["files/write.ts", "Deleted ", "files"], [
        "web/fetch.ts",
        "Status: ",
        "web",
      ]] as const
    ) {
      const changed = join(root, file);
      const source = await Deno.readTextFile(changed);
      const at = source.indexOf(word);
      assert.ok(at > 0);
      await Deno.writeTextFile(changed, `${source.slice(0, at)}d${source.slice(at + 1)}`);
      const refused = await runBuild(["--verify", "--root", root]);
      assert.equal(refused.code, 1);
      const message =
        /(\w+)\.json is not what its source builds to\. Different: component, .*\.core\d*\.wasm.*Run: deno task tools:build/g;
      assert.deepEqual([...refused.out.matchAll(message)].map((match) => match[1]), [name]);
      await Deno.writeTextFile(changed, source);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("two builds in two folders give the same bytes, and the bytes that are committed", async () => {
  const roots = [await copySources(), await copySources()];
  try {
    const read = (root: string) => Promise.all(PACKAGES.map((name) => Deno.readTextFile(join(root, `${name}.json`))));
    for (const root of roots) {
      for (const name of PACKAGES) await Deno.writeTextFile(join(root, `${name}.json`), "overwritten by the build");
      const { code, out } = await runBuild(["--root", root]);
      assert.equal(code, 0, out);
    }
    const [one, other] = await Promise.all(roots.map(read));
    assert.deepEqual(one, other);
    assert.deepEqual(one, await read(TOOLS_WASM));
  } finally {
    for (const root of roots) await Deno.remove(root, { recursive: true });
  }
});

Deno.test("differences() names each part that differs", async () => {
  const packed = await pack(new TextEncoder().encode("content"));
  const artefact: Artefact = {
    package: "p",
    version: "1",
    world: "w",
    imports: [],
    component: packed,
    files: [{ name: "a", ...packed }],
  };
  assert.deepEqual(differences(artefact, artefact), []);
  assert.deepEqual(differences(artefact, { ...artefact, version: "2" }), ["head"]);
  assert.deepEqual(differences(artefact, { ...artefact, files: [] }), ["a"]);
  assert.deepEqual(differences(artefact, { ...artefact, component: { ...packed, sha256: "0" } }), ["component"]);
  assert.deepEqual(differences(artefact, { ...artefact, component: { ...packed, gz: "0" } }), ["packing"]);
  assert.ok(toText(artefact).endsWith("}\n"));
});

Deno.test("the lock of the tool chain names no registry and pins every package by its hash", async () => {
  const lock = JSON.parse(await Deno.readTextFile(join(TOOLS_WASM, "package-lock.json")));
  const entries = Object.entries<{ resolved?: string; integrity?: string }>(lock.packages).filter(([path]) =>
    path !== ""
  );
  assert.ok(entries.length > 5);
  for (const [path, entry] of entries) {
    assert.equal(entry.resolved, undefined, path);
    assert.match(entry.integrity ?? "", /^sha512-/, path);
  }
});

Deno.test("bindgen.json is what the pinned package gives, and BINDGEN_SHA256 names it", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(TOOLS_WASM, "bindgen.ts"), "--verify"],
  });
  const { code, stderr } = await command.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const artefact = JSON.parse(await Deno.readTextFile(join(TOOLS_WASM, "bindgen.json")));
  await openBindgen(artefact);
  const lock = JSON.parse(await Deno.readTextFile(join(TOOLS_WASM, "package-lock.json")));
  assert.equal(artefact.version, lock.packages[`node_modules/${artefact.package}`].version);
  assert.ok(
    (await Deno.readTextFile(join(TOOLS_WASM, "bindgen.LICENSE"))).includes(`${artefact.package} ${artefact.version}`),
  );
});
