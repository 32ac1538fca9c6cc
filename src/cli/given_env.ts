import { timezone } from "#/lib/field.ts";
import { AppError } from "#/core/error.ts";
import { parseEnvEntry, readEnvFile, toOwnEnvFile } from "#/config/env_file.ts";

/** How a person hands variables to one start. */
export interface EnvOptions {
  /** `NAME=VALUE` each, or `NAME`, which is taken from the environment: a value on a command line is in `ps`. */
  readonly env?: readonly string[];
  readonly envFile?: string;
}

/**
 * The variables that a person handed to this program beside its environment, the stronger ones last: `~/.config/oxydra/.env`, `--env-file`,
 * `--env`. Throws AppError `usage` for one that cannot be read; never with a value.
 */
export function readGivenEnv(
  { env = [], envFile }: EnvOptions,
  inherited: Readonly<Record<string, string>>,
): Record<string, string> {
  const given: Record<string, string> = {};
  if (inherited.HOME) Object.assign(given, readEnvFile(toOwnEnvFile(inherited.HOME), { isPrivate: true }));
  if (envFile !== undefined) {
    const read = readEnvFile(envFile);
    if (read === undefined) throw new AppError("usage", `--env-file: there is no file ${envFile}`);
    Object.assign(given, read);
  }
  for (const entry of env) {
    if (!entry.includes("=")) {
      const value = Object.hasOwn(inherited, entry) ? inherited[entry] : undefined;
      if (value === undefined) throw new AppError("usage", "--env: expected NAME=VALUE, or a NAME that is set here");
      given[entry] = value;
    } else {
      const [name, value] = parseEnvEntry(entry, "--env");
      given[name] = value;
    }
  }
  // It takes the place of the configured one, which was checked.
  if (given.TZ !== undefined && !timezone().safeParse(given.TZ).success) {
    throw new AppError("usage", "TZ: must be an IANA time zone such as Europe/Berlin");
  }
  return given;
}
