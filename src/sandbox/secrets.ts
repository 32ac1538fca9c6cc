import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Secret } from "#/lib/secret.ts";

/** To scrub a shorter value would cut ordinary text. In UTF-16 code units. */
const SECRET_CHARS_MIN = 8;

/** A secret as the config declares it. */
export interface SecretEntry {
  /** What a tool calls it by. */
  readonly name: string;
  readonly value: Secret;
  /** Where it may be spent: host names without scheme and port. */
  readonly hosts: readonly string[];
  /** False: what it opens is public, as with the key of a search engine. Any other marks its session as one that has seen something private. */
  readonly isPrivate?: boolean;
}

/** The secrets of one user, as handles. */
export interface Secrets {
  readonly names: readonly string[];
  /** For the scrubber. */
  readonly values: readonly Pick<SecretEntry, "name" | "value">[];
  /** The value, for a request to this very host. Throws AppError `secret_denied` for a name that does not exist and a host that is not declared. */
  spend(name: string, host: string): Secret;
  /** Whether a session that spent it has seen something private; true for a name that does not exist. */
  isPrivate(name: string): boolean;
}

/** Throws AppError `config_invalid` for a name that cannot be a handle or comes twice, for a value with white space around it or too short or too long to be scrubbed, and for an empty host. */
export function openSecrets(entries: readonly SecretEntry[]): Secrets {
  const byName = new Map<string, { readonly value: Secret; readonly hosts: ReadonlySet<string>; isPrivate: boolean }>();
  for (const { name, value, hosts, isPrivate = true } of entries) {
    if (!/^[\w.-]{1,64}$/.test(name)) throw invalid(`A secret's name has 1 to 64 letters, digits, ".", "_" or "-"`);
    if (byName.has(name)) throw invalid(`The secret ${name} is declared twice`);
    const text = value.reveal();
    if (text !== text.trim()) throw invalid(`The value of the secret ${name} begins or ends with white space`);
    if (text.length < SECRET_CHARS_MIN || text.length > LIMITS.secretCharsMax) {
      const bounds = `${SECRET_CHARS_MIN} to ${LIMITS.secretCharsMax} characters`;
      throw invalid(`The value of the secret ${name} needs ${bounds}: any other could not be kept out of outputs`);
    }
    if (hosts.some((host) => host.trim() === "")) throw invalid(`The secret ${name} has an empty host`);
    byName.set(name, { value, hosts: new Set(hosts.map((host) => host.toLowerCase())), isPrivate });
  }
  return {
    names: [...byName.keys()],
    values: [...byName].map(([name, { value }]) => ({ name, value })),
    isPrivate: (name) => byName.get(name)?.isPrivate ?? true,
    spend(name, host) {
      const secret = byName.get(name);
      if (secret === undefined) throw new AppError("secret_denied", "There is no secret of this name");
      // Exactly: a suffix would give the secret to evil-example.com, a trailing dot is another name to a resolver.
      if (!secret.hosts.has(host.toLowerCase())) {
        throw new AppError("secret_denied", `The secret ${name} is not declared for this host`);
      }
      return secret.value;
    },
  };
}

function invalid(message: string): AppError {
  return new AppError("config_invalid", message);
}
