import { toPrintable } from "#/lib/printable.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { checkFolders } from "#/runner/prepare.ts";
import { reloadConfig } from "#/cli/control_client.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { TurnOptions } from "#/cli/main.ts";
import { findPlace } from "#/cli/place.ts";

/**
 * Has the runner of this workspace read its configuration again, and says what became of it; nobody needs this where the system tells of
 * changed files. Exit 0 when it is in force, 2 when it was refused. Throws AppError `gateway_unreachable` when none runs, and what `loadConfig`
 * throws.
 */
export async function runReload(options: TurnOptions): Promise<number> {
  const place = await findPlace(options);
  const folders = checkFolders(place.user, place.loaded, place);
  const { state, note } = await reloadConfig(toOwnSocket(folders));
  if (state === "refused") {
    console.error(`oxydra: the configuration is refused, and the last good one stays: ${toPrintable(note)}`);
    return EXIT.usage;
  }
  console.log(`the configuration is in force${note === "" ? "" : `; ${toPrintable(note)}`}`);
  return EXIT.done;
}
