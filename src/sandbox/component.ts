import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** A committed artefact (tools-wasm/files.json): the component, and the form that runs without a transpiler. */
export const ComponentArtefact = z.strictObject({
  package: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  version: z.string().max(64),
  world: z.string().max(256),
  imports: z.array(z.string().max(256)).max(16),
  component: z.strictObject({ sha256: Sha256, gz: z.string() }),
  files: z.array(
    z.strictObject({ name: z.string().regex(/^[a-z0-9_.-]{1,64}\.(js|wasm)$/), sha256: Sha256, gz: z.string() }),
  )
    .min(1).max(LIMITS.componentFilesMax),
});
export type ComponentArtefact = z.infer<typeof ComponentArtefact>;

/** The committed transpiler (tools-wasm/bindgen.json). */
const BindgenArtefact = z.strictObject({
  package: z.string(),
  version: z.string(),
  license: z.string(),
  files: ComponentArtefact.shape.files,
});

/** Which transpiler installs packages: hex sha256 over the hashes of its files. The artefact itself is read only for an install. */
export const BINDGEN_SHA256 = "08526da28f31f510750468716aceb44feb5633150dc6ccfb2835e7dcf7134f5f";

/** A file by its name. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A component package, checked, ready for a tool child. */
export interface ComponentPackage {
  readonly package: string;
  readonly version: string;
  /** Hex sha256 of the component: the identity in every call. */
  readonly sha256: string;
  /** Short names of the WIT interfaces it imports: `fs-read`, `fs-write`. */
  readonly interfaces: readonly string[];
  readonly files: readonly NamedBytes[];
}

/**
 * Unpacks an artefact and compares every file that will run with its hash. The component itself is not unpacked: `tools:verify`
 * proves that the files come from it. Throws AppError `component_invalid` for anything that does not fit.
 */
export async function openComponent(json: unknown): Promise<ComponentPackage> {
  const parsed = ComponentArtefact.safeParse(json);
  if (!parsed.success) {
    throw invalid(`the artefact is malformed at ${parsed.error.issues[0]?.path.join(".") || "its root"}`);
  }
  const artefact = parsed.data;
  const unknown = artefact.imports.filter((name) => !KNOWN_INTERFACES.includes(name));
  if (unknown.length > 0) throw invalid(`${artefact.package} imports ${unknown.join(", ")}, which no child offers`);
  const files = await unpackAll(artefact.package, artefact.files);
  return {
    package: artefact.package,
    version: artefact.version,
    sha256: artefact.component.sha256,
    interfaces: artefact.imports.map((name) => name.slice(name.indexOf("/") + 1)),
    files,
  };
}

/**
 * Unpacks the transpiler and compares it with BINDGEN_SHA256: the files are those that were reviewed. Throws AppError `component_invalid`.
 */
export async function openBindgen(json: unknown): Promise<readonly NamedBytes[]> {
  const parsed = BindgenArtefact.safeParse(json);
  if (!parsed.success) throw invalid("the transpiler's artefact is malformed");
  const files = await unpackAll("the transpiler", parsed.data.files);
  const digest = await sha256Hex(canonicalJson(parsed.data.files.map(({ name, sha256 }) => [name, sha256])));
  if (digest !== BINDGEN_SHA256) throw invalid(`the transpiler is another one (${digest}) than this version pins`);
  return files;
}

async function unpackAll(owner: string, packed: ComponentArtefact["files"]): Promise<NamedBytes[]> {
  const names = new Set(packed.map((file) => file.name));
  if (names.size !== packed.length) throw invalid(`${owner} names a file twice`);
  return await Promise.all(packed.map(async (file) => {
    const bytes = await unpack(file.gz, `${owner}/${file.name}`);
    if (await sha256Hex(bytes) !== file.sha256) throw invalid(`${owner}/${file.name} does not match its sha256`);
    return { name: file.name, bytes };
  }));
}

/** Counts while it unpacks: a small gzip can hold gigabytes. */
async function unpack(gz: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  try {
    const packed = Uint8Array.fromBase64(gz);
    for await (const chunk of new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))) {
      bytes += chunk.length;
      if (bytes > LIMITS.componentFileBytesMax) {
        throw invalid(`${name} is larger than ${LIMITS.componentFileBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("component_invalid", `${name} cannot be unpacked`, { cause });
  }
  return concatBytes(chunks);
}

function invalid(message: string): AppError {
  return new AppError("component_invalid", message);
}
