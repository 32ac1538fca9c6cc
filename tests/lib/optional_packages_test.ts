import assert from "node:assert/strict";
import { join } from "node:path";
import { isOptionalPackage, OPTIONAL_PACKAGES } from "#/lib/optional_packages.ts";
import { sourceFiles, SRC } from "../fixture/source_tree.ts";

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

async function readLock(name: string): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(join(SRC, name)));
}

Deno.test("OPTIONAL_PACKAGES are exact, and isOptionalPackage() knows their names", () => {
  for (const specifier of Object.values(OPTIONAL_PACKAGES)) {
    assert.match(specifier, /^npm:(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+$/);
  }
  assert.ok(isOptionalPackage("anthropic"));
  assert.ok(!isOptionalPackage("toString") && !isOptionalPackage("openai"));
});

Deno.test("OPTIONAL_PACKAGES stand in no import map, no deno.lock and no import, so that nobody else downloads them", async () => {
  const texts = await Promise.all(["../deno.json", "../deno.lock"].map((name) => Deno.readTextFile(join(SRC, name))));
  texts.push(...sourceFiles().filter(({ path }) => path !== "lib/optional_packages.ts").map(({ text }) => text));
  for (const specifier of Object.values(OPTIONAL_PACKAGES)) {
    const name = specifier.replace(/^npm:/, "").replace(/@[\d.]+$/, "");
    for (const text of texts) assert.ok(!text.includes(`"${name}`) && !text.includes(`npm:${name}`), name);
  }
});

Deno.test("the lock with OPTIONAL_PACKAGES is our lock and them, each with its hash", async () => {
  const [ours, both] = [await readLock("runner/lock.json"), await readLock("runner/lock_optional.json")];
  const added = Object.keys(both.specifiers).filter((name) => !(name in ours.specifiers));
  assert.deepEqual(added.sort(), Object.values(OPTIONAL_PACKAGES).sort());
  for (const [name, entry] of Object.entries(ours.npm)) assert.equal(both.npm[name]?.integrity, entry.integrity, name);
  for (const [name, entry] of Object.entries(both.npm)) assert.match(entry.integrity, /^sha512-/, name);
});
