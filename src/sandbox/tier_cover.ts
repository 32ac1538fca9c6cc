import { LIMITS } from "#/core/limits.ts";
import { isReservedName, TEMP_PREFIX } from "#/core/virtual_path.ts";
import { join } from "#/lib/path.ts";
import { Slice } from "#/lib/slice.ts";

/**
 * Inner paths of the folders below `host` that hold a project's settings, e.g. `/shared/app/.oxydra`, in `wallCoverFoldersMax` folders, those
 * that lie higher first. Links are not followed: inside they lead to what is covered, or nowhere. Throws AppError `cancelled`.
 */
export async function findCovered(host: string, inner: string, signal: AbortSignal): Promise<string[]> {
  const covered: string[] = [];
  const folders: [host: string, inner: string][] = [[host, inner]];
  const slice = new Slice(signal);
  for (let index = 0; index < folders.length && index < LIMITS.wallCoverFoldersMax; index++) {
    const [at, seen] = folders[index]!;
    for (const { name, isDirectory } of readFolder(at)) {
      if (!isDirectory) continue;
      if (isReservedName(name) && !name.startsWith(TEMP_PREFIX)) covered.push(join(seen, name));
      else folders.push([join(at, name), join(seen, name)]);
    }
    if (slice.used) await slice.pause();
  }
  return covered;
}

function readFolder(path: string): Iterable<Deno.DirEntry> {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    // Gone, or closed to us and with it to the shell.
    return [];
  }
}
