import { AppError } from "#/core/error.ts";
import type { Secret } from "#/lib/secret.ts";
import { findApiKey } from "#/provider/select.ts";
import { toKeyPath } from "#/config/key_path.ts";
import type { Loaded } from "#/config/load.ts";
import { toConfigError } from "#/config/problem.ts";
import { problemIn } from "#/config/source.ts";
import { toTrustSentence } from "#/config/widening.ts";

/** A key and the name of the setting or variable it came from. */
export interface Credential {
  readonly key: Secret;
  readonly source: string;
}

/**
 * The key of a registry entry (SPEC §1), or undefined when there is none. Throws AppError `config_untrusted` when an untrusted
 * project decides where the key would go and did not write the key itself: a cloned folder could otherwise have a person's key or
 * headers sent to its own host. Call it for the entry that was chosen, before anything of it is used. Throws `config_invalid` for an
 * entry that is not there.
 */
export function credentialFor(
  loaded: Pick<Loaded, "config" | "steered">,
  name: string,
  env: Readonly<Record<string, string>>,
): Credential | undefined {
  const { registry } = loaded.config.providers;
  const entry = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (entry === undefined) throw new AppError("config_invalid", `providers.registry has no entry ${name}`);
  const found = findApiKey(name, entry, env);
  const own = loaded.steered.filter(({ path }) => path[2] === name);
  const steering = own.filter(({ path, replaced }) => {
    const key = path[3];
    if (key === "provider_type") return replaced;
    // Naming the variable that would have been read anyway leads nowhere new.
    if (key === "api_key_env") {
      return findApiKey(name, { ...entry, api_key_env: undefined }, env)?.source !== found?.source;
    }
    return key === "base_url" || key === "extra_headers";
  });
  const wrote = (...keys: string[]) => own.some(({ path }) => toKeyPath(path.slice(3)) === toKeyPath(keys));
  const foreignKey = found !== undefined && !(found.source.endsWith(".api_key") && wrote("api_key"));
  const foreignHeader = Object.keys(entry.extra_headers ?? {}).some((header) => !wrote("extra_headers", header));
  if (steering.length === 0 || (!foreignKey && !foreignHeader)) return found;
  const what = foreignKey ? `the key from ${found.source}` : "your extra_headers";
  const why = `decides where ${what} would go, and this file is not trusted; give the entry an api_key of its own ` +
    "(any word for a server that wants none), or read the file";
  throw toConfigError(
    steering.map(({ path, source }) => problemIn(source, path, toTrustSentence(source, why), "config_untrusted")),
  );
}
