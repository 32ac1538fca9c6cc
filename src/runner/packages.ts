import type { UserFolders } from "#/config/user.ts";
import { isTrusted, readTrustList } from "#/config/trust.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { packagesDir } from "#/runner/packages_dir.ts";
import { type InstalledPackage, listEntries, readEntry, type Trusts } from "#/sandbox/component_cache.ts";
import { checkManifest, type TakenNames } from "#/sandbox/component_manifest.ts";
import { TOOL_NAMES } from "#/tools/config.ts";
import { HOST_PACKAGE } from "#/sandbox/host_run.ts";
import { toTools } from "#/tools/registry.ts";

/** The packages of this program, by name. */
export const OWN_PACKAGES: ReadonlySet<string> = new Set([
  HOST_PACKAGE,
  ...[...toTools().values()].flatMap(({ run }) => "component" in run ? [run.component] : []),
]);

/** A package that is not used, and why. */
export interface RefusedPackage {
  readonly path: string;
  readonly reason: string;
}

/** Which files of the cache this person's own installs wrote. Throws AppError `config_invalid` for a broken list. */
export function toTrusts(home: string | undefined): Trusts {
  const list = readTrustList(home);
  return (path, sha256) => isTrusted(list, { path, sha256 });
}

/**
 * Every installed package that is whole and that this person installed, and the others with the reason. One that is refused harms
 * nobody else: the start goes on without it.
 */
export async function openPackages(
  folders: Pick<UserFolders, "run">,
  home: string | undefined,
): Promise<{ readonly packages: readonly InstalledPackage[]; readonly refused: readonly RefusedPackage[] }> {
  const paths = listEntries(packagesDir(folders));
  const packages: InstalledPackage[] = [];
  const refused: RefusedPackage[] = [];
  if (paths.length === 0) return { packages, refused };
  let manifestBytes = 0;
  const trusts = toTrusts(home);
  for (const path of paths) {
    try {
      const entry = await readEntry(path, trusts);
      checkManifest(entry.manifest, toTaken(packages));
      manifestBytes += JSON.stringify(entry.manifest).length;
      if (manifestBytes > LIMITS.manifestsBytesMax || packages.length >= LIMITS.packagesMax) {
        const reason = "there are too many packages, or their manifests are too large together";
        throw new AppError("component_invalid", reason);
      }
      packages.push(entry);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      refused.push({ path, reason: error.message });
    }
  }
  return { packages, refused };
}

/** Names that a further package may not take: ours, those that ours will have, and those of these packages. */
export function toTaken(packages: readonly InstalledPackage[]): TakenNames {
  return {
    tools: new Set([
      ...toTools().keys(),
      ...TOOL_NAMES,
      ...packages.flatMap((one) => one.tools.map(({ name }) => name)),
    ]),
    packages: new Set([...OWN_PACKAGES, ...packages.map(({ manifest }) => manifest.name)]),
  };
}
