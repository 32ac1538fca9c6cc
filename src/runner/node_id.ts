import { sha256Hex } from "#/lib/sha256.ts";

/** Names a folder of this machine, the same at each start: hex sha256 of the host's name, the folder's real path and its inode. */
export async function toNodeId(folder: string): Promise<string> {
  const { dev, ino } = Deno.statSync(folder);
  return await sha256Hex(JSON.stringify([Deno.hostname(), Deno.realPathSync(folder), dev, ino]));
}
