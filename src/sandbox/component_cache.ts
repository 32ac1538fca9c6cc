import { z } from "zod";
import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { TEMP_PREFIX } from "#/core/virtual_path.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { parseJson } from "#/lib/parse_json.ts";
import { join } from "#/lib/path.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { BINDGEN_SHA256, type ComponentPackage } from "#/sandbox/component.ts";
import type { Transpiled } from "#/sandbox/component_check.ts";
import { CAP_VERSION } from "#/sandbox/component_core.ts";
import { PackageManifest, toTools } from "#/sandbox/component_manifest.ts";
import { KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";

/** A package that was judged, ready for a pool of children and for the broker. */
export interface InstalledPackage {
  readonly manifest: PackageManifest;
  readonly component: ComponentPackage;
  readonly tools: readonly Tool[];
  /** Its folder in the cache; empty until it is written. */
  readonly path: string;
  /** What to trust from now on: its meta.json, which names the hash of every other file, and its manifest. */
  readonly trusted: readonly { readonly path: string; readonly sha256: string }[];
}

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Meta = z.strictObject({
  v: z.literal(1),
  bindgen: Sha256,
  cap: z.string().max(16),
  imports: z.array(z.enum(KNOWN_INTERFACES)).max(16),
  /** The manifest first, the component second, then what is loaded. */
  files: z.array(z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9_.]{0,63}$/), sha256: Sha256 }))
    .min(3).max(LIMITS.componentFilesMax + 2),
});
const KEPT = ["manifest.json", "component.wasm"] as const;

/** A judged component as children and broker take it. */
export function toInstalled(manifest: PackageManifest, made: Transpiled): InstalledPackage {
  const component: ComponentPackage = {
    package: manifest.name,
    version: manifest.version,
    sha256: manifest.component.sha256,
    interfaces: made.imports.map((name) => name.slice(name.indexOf("/") + 1)),
    files: made.files,
  };
  return { manifest, component, tools: toTools(manifest), path: "", trusted: [] };
}

/** Where a package lies: another manifest, component, transpiler or treatment of what it makes is another place. */
export async function toEntryPath(dir: string, manifestText: string, manifest: PackageManifest): Promise<string> {
  const parts = [manifest.component.sha256, await sha256Hex(manifestText), BINDGEN_SHA256, CAP_VERSION];
  return join(dir, await sha256Hex(canonicalJson(parts)));
}

/** Writes a package, whole or not at all, over a damaged one of the same place. Throws AppError `component_invalid` when the disk refuses. */
export async function writeEntry(
  dir: string,
  source: { readonly manifest: string; readonly component: Uint8Array<ArrayBuffer> },
  installed: InstalledPackage,
): Promise<InstalledPackage> {
  const { manifest, component } = installed;
  const contents = [
    { name: KEPT[0], bytes: new TextEncoder().encode(source.manifest) },
    { name: KEPT[1], bytes: source.component },
    ...component.files,
  ];
  const files = await Promise.all(contents.map(async ({ name, bytes }) => ({ name, sha256: await sha256Hex(bytes) })));
  const imports = component.interfaces.map((name) => `oxydra:tool/${name}`);
  const meta = canonicalJson({ v: 1, bindgen: BINDGEN_SHA256, cap: CAP_VERSION, imports, files });
  const path = await toEntryPath(dir, source.manifest, manifest);
  const temporary = join(dir, `${TEMP_PREFIX}${crypto.randomUUID()}`);
  try {
    Deno.mkdirSync(temporary, { recursive: true, mode: 0o700 });
    for (const { name, bytes } of [...contents, { name: "meta.json", bytes: new TextEncoder().encode(meta) }]) {
      Deno.writeFileSync(join(temporary, name), bytes, { createNew: true, mode: 0o600 });
    }
    removeEntry(path);
    Deno.renameSync(temporary, path);
  } catch (cause) {
    // The first error is the one that counts; `listEntries` does not see this folder.
    attempt(() => removeEntry(temporary));
    const message = `${manifest.name} cannot be written: ${(cause as Error).message}`;
    throw new AppError("component_invalid", message, { cause });
  }
  return { ...installed, path, trusted: toTrusted(path, await sha256Hex(meta), files[0]!.sha256) };
}

/** True for a file that this person's own install wrote: a cloned folder may bring a cache whose hashes agree with one another. */
export type Trusts = (path: string, sha256: string) => boolean;

/** Reads a package and hashes every file again. Throws AppError `component_invalid` naming the file that is not what was written. */
export async function readEntry(path: string, trusts: Trusts): Promise<InstalledPackage> {
  const metaBytes = readPlain(path, "meta.json");
  const metaSha256 = await sha256Hex(metaBytes);
  if (!trusts(join(path, "meta.json"), metaSha256)) throw damaged(path, "meta.json");
  const text = new TextDecoder().decode(metaBytes);
  const parsed = Meta.safeParse(parseJson(text));
  // Canonical: a change that means nothing is a change.
  if (!parsed.success || canonicalJson(parsed.data) !== text) throw damaged(path, "meta.json");
  const { bindgen, cap, imports, files } = parsed.data;
  if (bindgen !== BINDGEN_SHA256 || cap !== CAP_VERSION) {
    throw new AppError("component_invalid", `${path} was made by another version of this program`);
  }
  if (files[0]!.name !== KEPT[0] || files[1]!.name !== KEPT[1]) throw damaged(path, "meta.json");
  const contents = await Promise.all(files.map(async ({ name, sha256 }) => {
    const bytes = readPlain(path, name);
    if (await sha256Hex(bytes) !== sha256) throw damaged(path, name);
    return { name, bytes };
  }));
  const manifestText = new TextDecoder().decode(contents[0]!.bytes);
  const manifest = PackageManifest.safeParse(parseJson(manifestText));
  if (!manifest.success || manifest.data.component.sha256 !== files[1]!.sha256) throw damaged(path, KEPT[0]);
  if (await toEntryPath(join(path, ".."), manifestText, manifest.data) !== path) throw damaged(path, "its name");
  return {
    ...toInstalled(manifest.data, { imports, files: contents.slice(2) }),
    path,
    trusted: toTrusted(path, metaSha256, files[0]!.sha256),
  };
}

/** The folders of installed packages; what an interrupted install left is not among them. */
export function listEntries(dir: string): string[] {
  const names = namesIn(dir).filter((name) => Sha256.safeParse(name).success);
  return names.sort().slice(0, LIMITS.packagesMax).map((name) => join(dir, name));
}

/** Removes what interrupted installs left. For the holder of the lock: the folder of a running one looks the same. */
export function sweepEntries(dir: string): void {
  for (const name of namesIn(dir)) if (name.startsWith(TEMP_PREFIX)) removeEntry(join(dir, name));
}

function namesIn(dir: string): string[] {
  try {
    return [...Deno.readDirSync(dir)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Removes a folder of the cache, or does nothing when there is none. */
export function removeEntry(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Manifest and component of a package whose other files may be damaged, to install it again. Undefined when there is none, or when
 * the manifest is not trusted.
 */
export async function readKept(
  path: string,
  trusts: Trusts = () => true,
): Promise<{ manifest: string; component: Uint8Array<ArrayBuffer> } | undefined> {
  try {
    const [manifest, component] = KEPT.map((name) => readPlain(path, name));
    if (!trusts(join(path, KEPT[0]), await sha256Hex(manifest!))) return undefined;
    return { manifest: new TextDecoder().decode(manifest), component: component! };
  } catch {
    return undefined;
  }
}

/** A plain file of bounded size: a link or a pipe in its place is as wrong as another content. */
function readPlain(path: string, name: string): Uint8Array<ArrayBuffer> {
  const info = attempt(() => Deno.lstatSync(join(path, name)));
  const isPlain = info?.isFile && info.size <= LIMITS.componentFileBytesMax;
  const bytes = isPlain ? attempt(() => Deno.readFileSync(join(path, name))) : undefined;
  if (bytes === undefined) throw damaged(path, name);
  return bytes;
}

function toTrusted(path: string, metaSha256: string, manifestSha256: string): InstalledPackage["trusted"] {
  return [{ path: join(path, "meta.json"), sha256: metaSha256 }, { path: join(path, KEPT[0]), sha256: manifestSha256 }];
}

function damaged(path: string, name: string): AppError {
  return new AppError("component_invalid", `${join(path, name)} is not what was installed; install the package again`);
}
