import { LIMITS } from "#/core/limits.ts";
import type { NamedBytes } from "#/sandbox/component.ts";
import { KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";
import {
  type CoreBounds,
  GENERATE_OPTIONS,
  type Reader,
  readerOf,
  sectionsOf,
  toQuietGlue,
  toSafeCore,
} from "#/sandbox/component_core.ts";

/** The transpiler, as bindgen.js exports it. */
export interface Transpiler {
  generate(component: Uint8Array, options: unknown): {
    readonly files: readonly (readonly [name: string, content: Uint8Array])[];
    readonly imports: readonly string[];
    readonly exports: readonly (readonly [name: string, type: string])[];
  };
}

/** What a component may be. */
export interface Expected {
  /** WIT interfaces of its manifest, without versions. */
  readonly imports: readonly string[];
  readonly pagesMax: number;
}

/** What is loaded in its place. */
export interface Transpiled {
  /** WIT interfaces that it calls functions of, without versions. */
  readonly imports: readonly string[];
  readonly files: readonly NamedBytes[];
}

/** The component model's binary format: `\0asm`, version 13, layer 1. */
const PREAMBLE = "\0asm\x0d\0\x01\0";
const WIT_VERSION = "0.1.0";
/** Types that the interfaces share; it has no function. */
const TYPES = "oxydra:tool/types";
const SECTION = { start: 9, import: 10, value: 12 } as const;
const SORT = { type: 3, instance: 5 } as const;
/** `init` is in every QuickJS component for its build; nobody calls it. */
const EXPORTS = [["describe", "execute"], ["describe", "execute", "init"]].map((names) => names.join());
const FILE_NAME = /^tool(\.core\d{0,3}\.wasm|\.js)$/;

/**
 * Transpiles a component and judges it: what it imports, what it exports, its names, its size. Pure but for the transpiler, which a
 * broken component may panic for good. No code of the component runs. Throws Error with the reason.
 */
export async function checkComponent(
  component: Uint8Array,
  expected: Expected,
  transpiler: Transpiler,
): Promise<Transpiled> {
  checkDeclared(readImports(component), expected.imports);
  const made = transpile(component, transpiler);
  // Two readers of one truth: what one of them overlooks, the other does not.
  checkDeclared(made.imports.map((name) => `${name}@${WIT_VERSION}`), expected.imports);
  const exported = made.exports.map(([name, type]) => type === "function" ? name : `${name} (${type})`).sort().join();
  if (!EXPORTS.includes(exported)) throw new Error(`it exports ${exported || "nothing"}, not describe and execute`);
  if (made.files.length > LIMITS.componentFilesMax) {
    throw new Error(`it has more than ${LIMITS.componentFilesMax - 1} core modules`);
  }
  const files = [];
  for (const [name, content] of made.files) {
    if (!FILE_NAME.test(name)) throw new Error("the transpiler made a file of an unknown name");
    const bytes = name.endsWith(".wasm") ? await toSafeCore(content, toBounds(expected.pagesMax)) : toSafeGlue(content);
    files.push({ name, bytes });
  }
  return { imports: made.imports, files };
}

/**
 * The interfaces that a component imports, with their versions. Throws Error for what is no component, for an import that is no
 * interface of ours, and for a start function.
 */
export function readImports(component: Uint8Array): string[] {
  if (component.length > LIMITS.componentBytesMax) throw new Error(`it is over ${LIMITS.componentBytesMax} bytes`);
  if (String.fromCharCode(...component.subarray(0, 8)) !== PREAMBLE) throw new Error("it is no WebAssembly component");
  const imports: string[] = [];
  for (const section of sectionsOf(component)) {
    if (section.id === SECTION.start || section.id >= SECTION.value) {
      throw new Error("it has a section that is not known");
    }
    if (section.id !== SECTION.import) continue;
    const reader = readerOf(component, section);
    for (let left = reader.u32(); left > 0; left--) {
      const name = readImport(reader);
      if (name !== null) imports.push(name);
    }
  }
  return imports;
}

/** The name of an imported instance; null for a type, which is only a name for one that an interface has. */
function readImport(reader: Reader): string | null {
  if (reader.byte() > 1) throw new Error("an import has an unknown form");
  const name = reader.name();
  const sort = reader.byte();
  const isAlias = sort === SORT.type && reader.byte() === 0;
  if (!isAlias && sort !== SORT.instance) throw new Error(`it imports ${JSON.stringify(name)}, which is no interface`);
  reader.u32();
  return isAlias ? null : name;
}

/** Imports ⊆ manifest ⊆ known, in the one version there is, each once: the glue asks for them without their versions. */
function checkDeclared(imports: readonly string[], declared: readonly string[]): void {
  const seen = new Set<string>();
  for (const full of imports) {
    const [name = "", version] = full.split("@");
    if (seen.has(name)) throw new Error(`it imports ${name} twice`);
    seen.add(name);
    if (name !== TYPES && !KNOWN_INTERFACES.includes(name)) throw new Error(`it imports ${full}, which is not known`);
    if (version !== WIT_VERSION) throw new Error(`it imports ${full}, not version ${WIT_VERSION}`);
    if (name !== TYPES && !declared.includes(name)) throw new Error(`it imports ${full}, which its manifest does not`);
  }
}

function transpile(component: Uint8Array, transpiler: Transpiler): ReturnType<Transpiler["generate"]> {
  try {
    return transpiler.generate(component, GENERATE_OPTIONS);
  } catch (error) {
    throw new Error(`it cannot be transpiled: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function toSafeGlue(content: Uint8Array): Uint8Array<ArrayBuffer> {
  if (content.length > LIMITS.componentGlueBytesMax) {
    throw new Error(`its glue is over ${LIMITS.componentGlueBytesMax} bytes`);
  }
  const glue = toQuietGlue(content);
  const text = new TextDecoder().decode(glue);
  const instances = text.split("instantiateCore(").length - 1;
  if (instances > LIMITS.componentInstancesMax) {
    throw new Error(`it has ${instances} core instances, ${LIMITS.componentInstancesMax} are allowed`);
  }
  return glue;
}

function toBounds(pagesMax: number): CoreBounds {
  return { pagesMax, tableEntriesMax: LIMITS.componentTableEntriesMax, segmentsMax: LIMITS.componentSegmentsMax };
}
