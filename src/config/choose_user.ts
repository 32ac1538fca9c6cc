import { AppError } from "#/core/error.ts";
import { USER_ID } from "#/core/id.ts";
import { nearestName } from "#/lib/nearest.ts";

/** The user that a start is for. Every mistake is an AppError `config_invalid`, so that it can join a report. */
export function chooseUser(asked: string | undefined, registered: readonly string[]): string {
  const known = registered.length === 0 ? ["default"] : registered;
  if (asked === undefined) {
    if (known.includes("default")) return "default";
    if (known.length === 1) return known[0]!;
    throw new AppError("config_invalid", `--user: choose one of ${known.join(", ")}`);
  }
  if (!USER_ID.test(asked)) {
    const rule = "a user id is 1 to 32 of a-z, 0-9, '_' or '-', a letter or digit first";
    throw new AppError("config_invalid", `--user: ${rule}`);
  }
  // Without registrations every id is a user of the default workspaces.
  if (registered.length === 0 || registered.includes(asked)) return asked;
  const nearest = nearestName(asked, registered);
  const hint = nearest === undefined ? `registered: ${registered.join(", ")}` : `the nearest is ${nearest}`;
  throw new AppError("config_invalid", `--user: runner.toml registers no user ${asked}; ${hint}`);
}
