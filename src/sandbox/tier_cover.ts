import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { Slice } from "#/lib/slice.ts";

const SETTINGS = ".oxydra";

/**
 * Inner paths of the folders below `host` that hold a project's settings, e.g. `/shared/app/.oxydra`, in `wallCoverFoldersMax` folders, those
 * that lie higher first. Links are not followed: inside they lead to what is covered, or nowhere. Throws AppError `tier_unavailable` for more
 * than `wallCoveredMax`, since a shell could make them to have the one that counts left out; `cancelled`.
 */
export async function findCovered(host: string, inner: string, signal: AbortSignal): Promise<string[]> {
  const covered: string[] = [];
  const folders: [host: string, inner: string][] = [[host, inner]];
  const slice = new Slice(signal);
  for (let index = 0; index < folders.length && index < LIMITS.wallCoverFoldersMax; index++) {
    const [at, seen] = folders[index]!;
    // Asked by name, as whoever reads settings does: on a disk that folds names it is there under another one.
    if (isFolder(join(at, SETTINGS))) covered.push(join(seen, SETTINGS));
    if (covered.length > LIMITS.wallCoveredMax) {
      throw new AppError(
        "tier_unavailable",
        `${inner} has more than ${LIMITS.wallCoveredMax} folders named ${SETTINGS}: delete some`,
      );
    }
    for (const { name, isDirectory } of readFolder(at)) {
      if (isDirectory && name.toLowerCase() !== SETTINGS) folders.push([join(at, name), join(seen, name)]);
    }
    if (slice.used) await slice.pause();
  }
  return covered;
}

function isFolder(path: string): boolean {
  return attempt(() => Deno.lstatSync(path).isDirectory) ?? false;
}

/** Nothing when it is gone, or closed to us and with it to the shell. */
function readFolder(path: string): Iterable<Deno.DirEntry> {
  return attempt(() => [...Deno.readDirSync(path)]) ?? [];
}
