import type { UserFolders } from "#/config/user.ts";
import { AppError } from "#/core/error.ts";
import { controlPath } from "#/runner/endpoint.ts";

/**
 * Where the runner of these folders is asked, for who asks it. What is not there yet is no problem. Throws AppError `config_invalid` when the
 * socket, or a folder that decides who answers there, belongs to another user of this machine: they could be told anything, and say anything.
 */
export function toOwnSocket({ ipc, run }: Pick<UserFolders, "ipc" | "run">): string {
  const path = controlPath(ipc);
  for (const place of [ipc, run, path]) {
    const owner = ownerOf(place);
    if (owner === undefined || owner === Deno.uid()) continue;
    throw new AppError(
      "config_invalid",
      `${place} belongs to another user of this machine (uid ${owner}; this is uid ${Deno.uid()}): nothing is asked there`,
    );
  }
  return path;
}

function ownerOf(path: string): number | undefined {
  try {
    return Deno.lstatSync(path).uid ?? undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new AppError("config_invalid", `${path} cannot be looked at`, { cause: error });
  }
}
