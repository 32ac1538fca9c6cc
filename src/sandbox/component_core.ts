/**
 * What the transpiler makes of a component, made safe to load. No imports: the build of our own tools, which runs without an import
 * map, and the install of a foreign package use this one piece. Every refusal is an Error whose message says what is wrong.
 */

/** What one core module may have. */
export interface CoreBounds {
  /** Linear memory, in pages of 64 KiB. */
  readonly pagesMax: number;
  /** Entries that its tables start with. */
  readonly tableEntriesMax: number;
  /** Data segments, and element segments. */
  readonly segmentsMax: number;
}

/** How jco-transpile is asked: one glue file that reads nothing around it, instances made by whoever loads it. */
export const GENERATE_OPTIONS = {
  name: "tool",
  noTypescript: true,
  noNodejsCompat: true,
  instantiation: { tag: "async" },
  noComponentErrorWrapping: true,
} as const;

/** A change of what this file does to a module or a glue: installs made before it are made again. */
export const CAP_VERSION = "1";

/** The glue asks for this variable at every step: without permission that throws. */
const DEBUG_LOOKUP = "globalThis?.process?.env?.JCO_DEBUG";
/** What may stand between single quotes in generated JavaScript without ending the string or the line. */
// deno-lint-ignore no-control-regex -- control characters are just what is refused
const SAFE = /^[^'"`\\\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/u;
const SECTION = { import: 2, table: 4, memory: 5, element: 9, data: 11 } as const;

/** The glue without its look at the environment. */
export function toQuietGlue(glue: Uint8Array): Uint8Array<ArrayBuffer> {
  const quiet = new TextDecoder().decode(glue).replaceAll(DEBUG_LOOKUP, "false");
  if (quiet.includes("JCO_DEBUG")) throw new Error("the glue reads JCO_DEBUG in a new way");
  return new TextEncoder().encode(quiet);
}

/** One core module with its memory capped, its names and its bounds checked. */
export async function toSafeCore(core: Uint8Array, bounds: CoreBounds): Promise<Uint8Array<ArrayBuffer>> {
  const capped = capMemory(new Uint8Array(core), bounds.pagesMax);
  const module = await WebAssembly.compile(capped);
  checkNames(module);
  checkBounds(capped, module, bounds);
  return capped;
}

/**
 * Refuses a core module whose import or export names could leave their quotes: jco writes them into the glue unescaped, so a crafted
 * name runs as code in the host's realm (facts/wasm.md §2, tested with jco-transpile 0.15.0).
 */
export function checkNames(module: WebAssembly.Module): void {
  for (const { name } of WebAssembly.Module.exports(module)) {
    if (!SAFE.test(name)) throw new Error(`an export name is unsafe: ${JSON.stringify(name)}`);
  }
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (SAFE.test(from) && SAFE.test(name)) continue;
    throw new Error(`an import name is unsafe: ${JSON.stringify(`${from} ${name}`)}`);
  }
}

/**
 * A core module whose memories cannot grow beyond `pagesMax` pages of 64 KiB: writes a maximum into the memory section
 * (WebAssembly core specification, binary format, §5.5.8). Refuses a 64-bit or shared memory, and one that starts with more.
 */
export function capMemory(module: Uint8Array<ArrayBuffer>, pagesMax: number): Uint8Array<ArrayBuffer> {
  for (const section of sectionsOf(module)) {
    if (section.id !== SECTION.memory) continue;
    const body = cappedMemories(readerOf(module, section), pagesMax);
    const head = [SECTION.memory, ...toLeb(body.length)];
    const [before, after] = [module.subarray(0, section.at), module.subarray(section.end)];
    const out = new Uint8Array(before.length + head.length + body.length + after.length);
    out.set(before);
    out.set(head, before.length);
    out.set(body, before.length + head.length);
    out.set(after, before.length + head.length + body.length);
    return out;
  }
  return module;
}

function cappedMemories(reader: Reader, pagesMax: number): number[] {
  const count = reader.u32();
  const out = toLeb(count);
  for (let index = 0; index < count; index++) {
    const { min, max } = limitsOf(reader, "memory");
    if (min > pagesMax) throw new Error(`a memory starts with ${min} pages, ${pagesMax} are allowed`);
    out.push(1, ...toLeb(min), ...toLeb(Math.min(max ?? pagesMax, pagesMax)));
  }
  return out;
}

/** One memory at most, own or imported; tables and segments within bounds. Tables that grow later are in V8's heap, which the child's flags bound. */
function checkBounds(bytes: Uint8Array, module: WebAssembly.Module, bounds: CoreBounds): void {
  let memories = WebAssembly.Module.imports(module).filter(({ kind }) => kind === "memory").length;
  let entries = 0;
  for (const section of sectionsOf(bytes)) {
    if (section.id < SECTION.table || section.id > SECTION.data) continue;
    const reader = readerOf(bytes, section);
    if (section.id === SECTION.memory) memories += reader.u32();
    if (section.id === SECTION.table) entries += tableEntriesOf(reader);
    const isSegments = section.id === SECTION.data || section.id === SECTION.element;
    if (isSegments && reader.u32() > bounds.segmentsMax) {
      throw new Error(`a core module has more than ${bounds.segmentsMax} segments`);
    }
  }
  if (memories > 1) throw new Error("a core module has more than one memory");
  if (entries > bounds.tableEntriesMax) {
    throw new Error(`tables start with ${entries} entries, ${bounds.tableEntriesMax} are allowed`);
  }
}

function tableEntriesOf(reader: Reader): number {
  let entries = 0;
  for (let left = reader.u32(); left > 0; left--) {
    const type = reader.byte();
    // funcref and externref; other types have an encoding of their own, and no tool chain of ours makes them.
    if (type !== 0x70 && type !== 0x6f) throw new Error("a table has an unusual type");
    entries += limitsOf(reader, "table").min;
  }
  return entries;
}

function limitsOf(reader: Reader, what: string): { min: number; max: number | undefined } {
  const flags = reader.byte();
  if ((flags & ~1) !== 0) throw new Error(`a ${what} is shared or 64-bit`);
  const min = reader.u32();
  return { min, max: flags === 1 ? reader.u32() : undefined };
}

/** One section of a module or component: its first byte, the first of its body, and where it ends. */
export interface Section {
  readonly id: number;
  readonly at: number;
  readonly bodyAt: number;
  readonly end: number;
}

/** The sections behind the eight bytes of preamble, which modules and components share. */
export function* sectionsOf(bytes: Uint8Array): Generator<Section> {
  for (let at = 8; at < bytes.length;) {
    const reader = new Reader(bytes, at, bytes.length);
    const id = reader.byte();
    const size = reader.u32();
    const section = { id, at, bodyAt: reader.at, end: reader.at + size };
    if (section.end > bytes.length) throw new Error("a section is cut off");
    yield section;
    at = section.end;
  }
}

/** Reads the body of one section, and nothing behind it. */
export function readerOf(bytes: Uint8Array, { bodyAt, end }: Section): Reader {
  return new Reader(bytes, bodyAt, end);
}

/** A cursor over the binary format. Throws Error at the end, and for a number of more than 32 bits. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  /** Offset of the next byte. */
  at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  /** The next byte. */
  byte(): number {
    if (this.at >= this.#end) throw new Error("a section is cut off");
    return this.#bytes[this.at++]!;
  }

  /** Unsigned LEB128 of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if ((byte & 128) === 0 && value <= 0xffff_ffff) return value;
      if ((byte & 128) === 0) break;
    }
    throw new Error("a number in the module is broken");
  }

  /** A name: its length, then UTF-8. */
  name(): string {
    const length = this.u32();
    if (this.at + length > this.#end) throw new Error("a name is cut off");
    return new TextDecoder("utf-8", { fatal: true }).decode(this.#bytes.subarray(this.at, this.at += length));
  }
}

function toLeb(value: number): number[] {
  const out: number[] = [];
  do {
    const low = value & 127;
    value >>>= 7;
    out.push(value > 0 ? low | 128 : low);
  } while (value > 0);
  return out;
}
