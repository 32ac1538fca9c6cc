import { dirname, join } from "#/lib/path.ts";
import type { Loaded } from "#/config/load.ts";
import { toOwnEnvFile } from "#/config/env_file.ts";
import { toKeyPath } from "#/config/key_path.ts";
import { toTrustPath } from "#/config/trust.ts";
import { resolvePath } from "#/config/widening.ts";

/** Everything that is read from a config folder: what the layers and the model catalog are made of. */
const NAMES = [
  "agent.toml",
  "providers.toml",
  "runner.toml",
  "model_catalog.json",
  "oxydra_caps_overrides.json",
] as const;

/**
 * The files that a configuration depends on, absolute, also those that are not there: of every layer, the user's own, and the list of
 * trusted files. Pure.
 */
export function listConfigFiles({ config, user, origins, places }: Loaded, systemDir = "/etc/oxydra"): string[] {
  const { cwd, home, project } = places;
  const own = home === undefined ? [] : [join(home, ".config", "oxydra"), join(home, ".oxydra")];
  const files = [systemDir, ...own, project].flatMap((folder) => NAMES.map((name) => join(folder, name)));
  if (home !== undefined) files.push(toTrustPath(home), toOwnEnvFile(home));
  const written = config.runner.users[user]?.config_path;
  const naming = origins.get(toKeyPath(["runner", "users", user, "config_path"]))?.file;
  if (written !== undefined) files.push(resolvePath(written, naming === undefined ? cwd : dirname(naming), home));
  return [...new Set(files)];
}
