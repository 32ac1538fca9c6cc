/**
 * TypeScript in, artefact out: one process under a fixed clock and fixed randomness, started by build.ts. Arguments: the folder that
 * holds wit/, sdk/ and the packages; the package, which is also the name of its world; the file to write; the bound of each linear
 * memory in 64 KiB pages.
 */
import { $init, generate } from "@bytecodealliance/jco-transpile/component";
import { componentize } from "componentize-qjs";
import { build } from "esbuild";
import { INTERFACES, toImportName } from "../../src/sandbox/component_interfaces.ts";
import { type Artefact, pack, type PackedFile, toText } from "./artefact.ts";
import { capMemory } from "./cap_memory.ts";
import { checkNames } from "./check_names.ts";

/** The glue asks for this variable at every step: without permission that throws. */
const DEBUG_LOOKUP = "globalThis?.process?.env?.JCO_DEBUG";
/** Exists in every QuickJS component for the build; nobody calls it later. */
const EXPORTS = ["describe", "execute", "init"];
const KNOWN_IMPORTS: readonly string[] = INTERFACES.map(toImportName);

const [root, name, out, pagesMax] = Deno.args as [string, string, string, string];
const { IDENTITY } = await import(`file://${root}/${name}/tools.ts`);
const component = await compile(root, name);
const { imports, files } = await transpile(component, Number(pagesMax));
const artefact: Artefact = {
  package: IDENTITY.name,
  version: IDENTITY.version,
  world: `oxydra:tool/${name}@0.1.0`,
  imports,
  component: await pack(component),
  files,
};
await Deno.writeTextFile(out, toText(artefact));

async function compile(folder: string, world: string): Promise<Uint8Array<ArrayBuffer>> {
  const bundle = await build({
    entryPoints: [`${world}/main.js`],
    absWorkingDir: folder,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    external: ["oxydra:*"],
    charset: "utf8",
    // A component carries the text of its functions: short names make it smaller, and name no folder.
    minify: true,
    logLevel: "silent",
  });
  const options = {
    witPath: `${folder}/wit/tool.wit`,
    world,
    stubWasi: true,
    sync: true,
    optSize: true,
  };
  const made = await componentize({
    ...options,
    jsSource: bundle.outputFiles[0]!.text,
  });
  return new Uint8Array(made.component);
}

async function transpile(
  bytes: Uint8Array<ArrayBuffer>,
  memoryPagesMax: number,
) {
  await $init;
  const made = generate(bytes, {
    name: "tool",
    noTypescript: true,
    noNodejsCompat: true,
    instantiation: { tag: "async" },
    noComponentErrorWrapping: true,
  });
  const unknown = made.imports.filter((name: string) => !KNOWN_IMPORTS.includes(name));
  if (unknown.length > 0) {
    throw new Error(`the component imports ${unknown.join(", ")}`);
  }
  const exported = made.exports.map(([name]: [string, string]) => name);
  if (exported.sort().join() !== EXPORTS.join()) {
    throw new Error(`the component exports ${exported.join(", ")}`);
  }
  const files: PackedFile[] = [];
  for (
    const [name, content] of made.files as [string, Uint8Array<ArrayBuffer>][]
  ) {
    const final = name.endsWith(".wasm") ? await toSafeCore(content, memoryPagesMax) : toQuietGlue(content);
    files.push({ name, ...await pack(final) });
  }
  return { imports: made.imports as string[], files };
}

async function toSafeCore(
  content: Uint8Array<ArrayBuffer>,
  memoryPagesMax: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const capped = capMemory(new Uint8Array(content), memoryPagesMax);
  checkNames(await WebAssembly.compile(capped));
  return capped;
}

function toQuietGlue(
  content: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const glue = new TextDecoder().decode(content).replaceAll(
    DEBUG_LOOKUP,
    "false",
  );
  if (glue.includes("JCO_DEBUG")) {
    throw new Error("the glue reads JCO_DEBUG in a new way");
  }
  return new TextEncoder().encode(glue);
}
