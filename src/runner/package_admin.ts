import { changeTrust } from "#/config/trust.ts";
import type { UserFolders } from "#/config/user.ts";
import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { basename, join } from "#/lib/path.ts";
import { makeCacheView, toSandboxEnv } from "#/runner/cache_view.ts";
import { openPackages, toTaken, toTrusts } from "#/runner/packages.ts";
import { packagesDir } from "#/runner/packages_dir.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import type { PlanInput } from "#/runner/process_plan.ts";
import { planInspector, planToolChild } from "#/runner/tool_host.ts";
import { type NamedBytes, openBindgen } from "#/sandbox/component.ts";
import { type InstalledPackage, listEntries, readKept, removeEntry, sweepEntries } from "#/sandbox/component_cache.ts";
import { type ForeignPackage, installPackage } from "#/sandbox/component_install.ts";
import { type PackageManifest, parseManifest, type TakenNames } from "#/sandbox/component_manifest.ts";

/** Whose packages are changed, and by which program. */
export interface PackageOwner extends PlanInput {
  readonly folders: UserFolders;
}

/** What a manifest asks for, read before anything is installed. Throws AppError `component_invalid` naming the field. */
export async function readManifest(text: string, owner: PackageOwner): Promise<PackageManifest> {
  const { packages } = await openPackages(owner.folders, owner.env.HOME);
  const name = nameOf(text);
  return parseManifest(text, toTaken(packages.filter(({ manifest }) => manifest.name !== name)));
}

/**
 * Installs a package, in the place of one of the same name. Counts from the next start of the runner: a live one has read its packages.
 * Throws AppError `component_invalid`, `config_invalid`, `usage` without a HOME.
 */
export function addPackage(source: ForeignPackage, owner: PackageOwner): Promise<InstalledPackage> {
  return withLock(owner, async (home) => {
    const { packages } = await openPackages(owner.folders, home);
    const name = nameOf(source.manifest);
    const others = packages.filter(({ manifest }) => manifest.name !== name);
    const bytes = others.reduce((sum, { manifest }) => sum + JSON.stringify(manifest).length, source.manifest.length);
    if (others.length >= LIMITS.packagesMax || bytes > LIMITS.manifestsBytesMax) {
      const together = `with manifests of ${LIMITS.manifestsBytesMax} bytes together`;
      throw new AppError("component_invalid", `at most ${LIMITS.packagesMax} packages, ${together}`);
    }
    const before = await findEntries(owner, String(name));
    const installed = await install(source, owner, toTaken(others));
    await changeTrust(home, before.flatMap(toTrustedPaths), installed.trusted);
    for (const path of before) if (path !== installed.path) removeEntry(path);
    return installed;
  });
}

/** Installs a package again from its kept manifest and component, whatever became of its other files. Throws AppError `usage` when there is none. */
export async function reinstallPackage(name: string, owner: PackageOwner): Promise<InstalledPackage> {
  for (const path of await findEntries(owner, name)) {
    const kept = await readKept(path, toTrusts(owner.env.HOME));
    if (kept !== undefined) return await addPackage(kept, owner);
  }
  throw unknownPackage(name);
}

/** Removes a package of this name, damaged or not. Throws AppError `usage` when there is none. */
export function removePackage(name: string, owner: PackageOwner): Promise<void> {
  return withLock(owner, async (home) => {
    const paths = await findEntries(owner, name);
    if (paths.length === 0) throw unknownPackage(name);
    for (const path of paths) removeEntry(path);
    await changeTrust(home, paths.flatMap(toTrustedPaths), []);
  });
}

async function install(source: ForeignPackage, owner: PackageOwner, taken: TakenNames): Promise<InstalledPackage> {
  // Of its own: a live runner has one, and makes it anew at its start.
  const scratch = await Deno.makeTempDir({ prefix: "oxydra-install-" });
  try {
    makeCacheView(await findDenoDir(owner.env), scratch);
    const input = { program: owner.program, env: toSandboxEnv(owner.env, scratch) };
    return await installPackage(source, {
      dir: packagesDir(owner.folders),
      taken,
      trusts: toTrusts(owner.env.HOME),
      inspectPlan: planInspector(input),
      childPlan: planToolChild(input),
      loadBindgen,
    });
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Megabytes: not a literal import, which Deno would read at every start. From a URL it is fetched when it is first needed. */
export async function loadBindgen(): Promise<readonly NamedBytes[]> {
  const url = new URL("../../tools-wasm/bindgen.json", import.meta.url);
  const json = url.protocol === "file:"
    ? JSON.parse(await Deno.readTextFile(url))
    : (await import(url.href, { with: { type: "json" } })).default;
  return await openBindgen(json);
}

/** One change at a time; the kernel drops the lock with the process. */
async function withLock<T>(owner: PackageOwner, change: (home: string) => Promise<T>): Promise<T> {
  const home = owner.env.HOME;
  if (!home) throw new AppError("usage", "HOME is not set, so there is nowhere to write down which packages are yours");
  using lock = await Deno.open(join(owner.folders.run, "packages.lock"), { create: true, write: true, mode: 0o600 });
  await lock.lock(true);
  sweepEntries(packagesDir(owner.folders));
  return await change(home);
}

/** The name in a manifest that may be anything. */
function nameOf(text: string): unknown {
  return attempt(() => JSON.parse(text)?.name);
}

/** True for the folder of a package of this name, or for a folder of this name: a damaged one may not know its own. */
async function isNamed(path: string, name: string): Promise<boolean> {
  return basename(path) === name || nameOf((await readKept(path))?.manifest ?? "") === name;
}

async function findEntries(owner: PackageOwner, name: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of listEntries(packagesDir(owner.folders))) if (await isNamed(path, name)) found.push(path);
  return found;
}

function toTrustedPaths(path: string): string[] {
  return [join(path, "meta.json"), join(path, "manifest.json")];
}

function unknownPackage(name: string): AppError {
  return new AppError("usage", `there is no installed package ${JSON.stringify(name)}; see: oxydra tools list`);
}
