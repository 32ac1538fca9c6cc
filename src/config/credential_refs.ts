import { LIMITS } from "#/core/limits.ts";
import type { Secret } from "#/lib/secret.ts";
import { readPlainFile } from "#/config/read_file.ts";
import { resolvePath } from "#/config/widening.ts";

/** What `[credential_refs]` came to. */
export interface ResolvedCredentials {
  /** Value by the name of its entry. */
  readonly values: Readonly<Record<string, string>>;
  /** Why others have none, a sentence each, without a value. */
  readonly notes: readonly string[];
}

/**
 * Looks up each entry of `[credential_refs]`: `env:NAME` is that variable, `file:/path` the text of that file without its last line break, anything
 * else the value itself. From then on its name can be used wherever the configuration names a variable (`api_key_env`, `env_keys`,
 * `secrets.*.env`). `vault:` is the reference's word for a secret store, and there is none here. An unset variable is no note: it counts as not set.
 */
export function resolveCredentialRefs(
  refs: Readonly<Record<string, Secret | undefined>>,
  { env, home }: { readonly env: Readonly<Record<string, string>>; readonly home: string | undefined },
): ResolvedCredentials {
  const values: Record<string, string> = {};
  const notes: string[] = [];
  for (const [name, ref] of Object.entries(refs)) {
    const text = ref?.reveal() ?? "";
    const [, scheme, rest = ""] = /^(env|file|vault):(.*)$/.exec(text) ?? [];
    if (scheme === "vault") {
      notes.push(`credential_refs.${name}: there is no secret store here; write env:NAME or file:/path`);
    } else if (scheme === "file") {
      const read = readPlainFile(resolvePath(rest, "/", home), { bytesMax: LIMITS.configBytesMax });
      if ("kind" in read) {
        notes.push(`credential_refs.${name}: its file ${read.kind === "bad" ? read.sentence : "is not there"}`);
      } else values[name] = new TextDecoder().decode(read.bytes).replace(/\r?\n$/, "");
    } else {
      const value = scheme === "env" ? (Object.hasOwn(env, rest) ? env[rest] : undefined) : text;
      if (value !== undefined && value !== "") values[name] = value;
    }
  }
  return { values, notes };
}
