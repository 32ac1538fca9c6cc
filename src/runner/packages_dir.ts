import { attempt } from "#/core/error.ts";
import type { UserFolders } from "#/config/user.ts";
import { join } from "#/lib/path.ts";

/** Where a user's packages lie: in `run/`, which no guest and no tool reaches. */
export function packagesDir(folders: Pick<UserFolders, "run">): string {
  return join(folders.run, "packages");
}

/** True when a package may be installed. A look at one folder: who has none does not load what reads them. */
export function hasPackages(folders: Pick<UserFolders, "run">): boolean {
  return attempt(() => !Deno.readDirSync(packagesDir(folders))[Symbol.iterator]().next().done) ?? false;
}
