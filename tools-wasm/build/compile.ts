/**
 * TypeScript in, artefact out: one process under a fixed clock and fixed randomness, started by build.ts. Arguments: the folder that
 * holds wit/, sdk/ and the packages; the package, which is also the name of its world; the file to write; the bounds of each core
 * module as JSON.
 */
import { $init, generate } from "@bytecodealliance/jco-transpile/component";
import { type CoreBounds, GENERATE_OPTIONS, toQuietGlue, toSafeCore } from "../../src/sandbox/component_core.ts";
import { INTERFACES, toImportName } from "../../src/sandbox/component_interfaces.ts";
import { type Artefact, pack, type PackedFile, toText } from "./artefact.ts";
import { toComponent } from "./to_component.ts";

/** `init` exists in every QuickJS component for the build; nobody calls it later. */
const EXPORTS = ["describe", "execute", "init"];
const KNOWN_IMPORTS: readonly string[] = INTERFACES.map(toImportName);

const [root, name, out, bounds] = Deno.args as [string, string, string, string];
const { IDENTITY } = await import(`file://${root}/${name}/tools.ts`);
const witPath = `${root}/wit/tool.wit`;
const component = await toComponent({ root, entry: `${name}/main.js`, witPath, world: name });
const { imports, files } = await transpile(component, JSON.parse(bounds));
const artefact: Artefact = {
  package: IDENTITY.name,
  version: IDENTITY.version,
  world: `oxydra:tool/${name}@0.1.0`,
  imports,
  component: await pack(component),
  files,
};
await Deno.writeTextFile(out, toText(artefact));

async function transpile(bytes: Uint8Array<ArrayBuffer>, bounds: CoreBounds) {
  await $init;
  const made = generate(bytes, GENERATE_OPTIONS);
  const unknown = made.imports.filter((name: string) => !KNOWN_IMPORTS.includes(name));
  if (unknown.length > 0) {
    throw new Error(`the component imports ${unknown.join(", ")}`);
  }
  const exported = made.exports.map(([name]: [string, string]) => name);
  if (exported.sort().join() !== EXPORTS.join()) {
    throw new Error(`the component exports ${exported.join(", ")}`);
  }
  const files: PackedFile[] = [];
  for (const [name, content] of made.files as [string, Uint8Array][]) {
    const final = name.endsWith(".wasm") ? await toSafeCore(content, bounds) : toQuietGlue(content);
    files.push({ name, ...await pack(final) });
  }
  return { imports: made.imports as string[], files };
}
