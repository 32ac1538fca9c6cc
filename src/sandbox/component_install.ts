import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { askProcess } from "#/sandbox/ask_process.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { ChildPlan } from "#/sandbox/child_plan.ts";
import { ToolChild } from "#/sandbox/child_process.ts";
import type { NamedBytes } from "#/sandbox/component.ts";
import {
  type InstalledPackage,
  readEntry,
  toEntryPath,
  toInstalled,
  type Trusts,
  writeEntry,
} from "#/sandbox/component_cache.ts";
import type { Transpiled } from "#/sandbox/component_check.ts";
import { type PackageManifest, parseManifest, type TakenNames } from "#/sandbox/component_manifest.ts";
import { type InspectVerdict, packMessage, unpackMessage } from "#/sandbox/component_message.ts";
import { KNOWN_INTERFACES } from "#/sandbox/interfaces.ts";

/** A package as its author hands it over: the text of its manifest, and its component. */
export interface ForeignPackage {
  readonly manifest: string;
  readonly component: Uint8Array<ArrayBuffer>;
}

/** What an install stands on; the times default to LIMITS. */
export interface InstallDeps {
  /** Folder of the installed packages; no guest can write it. */
  readonly dir: string;
  readonly taken: TakenNames;
  readonly trusts: Trusts;
  readonly inspectPlan: ChildPlan;
  readonly childPlan: ChildPlan;
  /** The files of the transpiler: megabytes, asked for only when something is inspected. */
  readonly loadBindgen: () => Promise<readonly NamedBytes[]>;
  readonly inspectMs?: number;
  readonly describeMs?: number;
}

/**
 * Judges a package and puts it into the cache, once per component and manifest: what lies there whole is taken as it is, what is
 * damaged is made again. Throws AppError `component_invalid` with the reason; nothing is written then and no process is left.
 */
export async function installPackage(source: ForeignPackage, deps: InstallDeps): Promise<InstalledPackage> {
  const manifest = parseManifest(source.manifest, deps.taken);
  if (source.component.length > LIMITS.componentBytesMax) {
    throw invalid(manifest, `the component is over ${LIMITS.componentBytesMax} bytes`);
  }
  if (await sha256Hex(source.component) !== manifest.component.sha256) {
    throw invalid(manifest, "the component is not the one whose sha256 the manifest names");
  }
  const kept = await readEntry(await toEntryPath(deps.dir, source.manifest, manifest), deps.trusts).catch(() =>
    undefined
  );
  if (kept !== undefined) return kept;
  const made = await inspect(source.component, manifest, deps);
  const installed = toInstalled(manifest, made);
  await describe(installed, deps);
  return await writeEntry(deps.dir, source, installed);
}

/** It comes from a process of ours that parsed what a stranger wrote. */
const Verdict: z.ZodType<InspectVerdict> = z.discriminatedUnion("type", [
  z.strictObject({
    v: z.literal(1),
    type: z.literal("accepted"),
    imports: z.array(z.enum(KNOWN_INTERFACES)).max(16),
    files: z.array(z.strictObject({
      name: z.string().regex(/^tool[a-z0-9.]{1,32}$/),
      bytes: z.int().min(0).max(LIMITS.componentFileBytesMax),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    })).min(1).max(LIMITS.componentFilesMax),
  }),
  z.strictObject({
    v: z.literal(1),
    type: z.literal("refused"),
    message: z.string().max(1_000),
    files: z.array(z.never()),
  }),
]);

/** The verdict of a disposable process; it is dead when this returns. */
async function inspect(
  component: NamedBytes["bytes"],
  manifest: PackageManifest,
  deps: InstallDeps,
): Promise<Transpiled> {
  const files = [...await deps.loadBindgen(), { name: "component.wasm", bytes: component }];
  const request = packMessage({
    v: 1,
    imports: manifest.imports,
    pagesMax: manifest.limits?.memoryPagesMax ?? LIMITS.componentPagesMax,
    files: files.map(({ name, bytes }) => ({ name, bytes: bytes.length })),
  }, files);
  const { head, files: made } = unpackMessage(await runInspect(request, manifest, deps), (json) => Verdict.parse(json));
  if (head.type === "refused") throw invalid(manifest, head.message);
  for (const { name, sha256 } of head.files) {
    if (await sha256Hex(made.get(name)!) !== sha256) throw invalid(manifest, `${name} arrived as another file`);
  }
  return { imports: head.imports, files: head.files.map(({ name }) => ({ name, bytes: made.get(name)! })) };
}

async function runInspect(
  input: Uint8Array<ArrayBuffer>,
  manifest: PackageManifest,
  { inspectPlan, inspectMs = LIMITS.installMs }: InstallDeps,
): Promise<Uint8Array<ArrayBuffer>> {
  const signal = AbortSignal.timeout(inspectMs);
  const bytesMax = LIMITS.componentMadeBytesMax;
  const made = await askProcess(inspectPlan, { input, bytesMax, signal });
  if (made.length > bytesMax) throw invalid(manifest, `the transpiler makes more than ${bytesMax} bytes of it`);
  if (signal.aborted) throw invalid(manifest, `its inspection took more than ${inspectMs} ms`);
  return made;
}

const Described = z.strictObject({ name: z.string(), version: z.string(), tools: z.array(z.string()) });

/** Here the component's code runs for the first time, in a tool child like any other. Its answer must be what the manifest says. */
async function describe({ manifest, component }: InstalledPackage, deps: InstallDeps): Promise<void> {
  const child = new ToolChild(deps.childPlan);
  try {
    const said = Described.parse(JSON.parse(await child.load(component, deps.describeMs ?? LIMITS.describeMs)));
    const names = (tools: readonly string[]) => [...tools].sort().join();
    const equal = said.name === manifest.name && said.version === manifest.version &&
      names(said.tools) === names(manifest.tools.map(({ name }) => name));
    if (!equal) {
      throw invalid(manifest, `it describes itself as ${said.name} ${said.version} with ${said.tools.join(", ")}`);
    }
  } catch (cause) {
    if (cause instanceof AppError && cause.code === "component_invalid") throw cause;
    const why = cause instanceof AppError ? cause.message : "its answer cannot be read";
    throw new AppError("component_invalid", `${manifest.name} cannot describe itself: ${why}`, { cause });
  } finally {
    child.kill();
    await child.ended;
  }
}

function invalid(manifest: PackageManifest, reason: string): AppError {
  return new AppError("component_invalid", `${manifest.name} is refused: ${reason}`);
}
