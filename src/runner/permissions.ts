/** What a Deno process may do, by the name of the permission (docs.deno.com, "Security and permissions"). */
export const PERMISSIONS = ["read", "write", "net", "env", "run", "ffi", "sys", "import"] as const;
/** One of them. */
export type Permission = (typeof PERMISSIONS)[number];

/** One permission that a process has. */
export interface Opened {
  readonly permission: Permission;
  /** What it is for, as the flag says; empty: for everything. */
  readonly only: readonly string[];
  /** What is taken away from it. */
  readonly but: readonly string[];
}

/** What flags open: everything else is refused by Deno. */
export interface Permissions {
  /** `-A`: all that the person may do. */
  readonly all: boolean;
  readonly open: readonly Opened[];
  readonly closed: readonly Permission[];
}

/**
 * Reads what a command line of Deno opens. `args` are those of a ProcessPlan. Pure. Throws RangeError for a flag about permissions that it
 * does not know: what is not understood is not called closed.
 */
export function readPermissions(args: readonly string[]): Permissions {
  const flags = toFlags(args);
  const allow = new Map<Permission, string[]>();
  const deny = new Map<Permission, string[]>();
  let all = false;
  for (const flag of flags) {
    // Opens nothing: what would be refused is not there instead.
    if (flag === "--ignore-env") continue;
    if (flag === "-A" || flag === "--allow-all") all = true;
    const match = /^--(allow|deny|ignore)-(\w+)(?:=(.*))?$/.exec(flag);
    const permission = PERMISSIONS.find((name) => name === match?.[2]);
    if (match !== null && match[2] !== "all" && (permission === undefined || match[1] === "ignore")) {
      throw unknown(flag);
    }
    if (/^-[B-Z]/.test(flag) || /^--(permission-set|unsafe)/.test(flag)) throw unknown(flag);
    if (match === null || permission === undefined) continue;
    (match[1] === "allow" ? allow : deny).set(permission, match[3] === undefined ? [] : match[3].split(","));
  }
  return {
    all,
    open: [...allow].map(([permission, only]) => ({ permission, only, but: deny.get(permission) ?? [] })),
    closed: all ? [] : PERMISSIONS.filter((permission) => !allow.has(permission)),
  };
}

/** What stands between `run` and the entry; what follows is the entry's own. */
function toFlags(args: readonly string[]): readonly string[] {
  const rest = args.slice(args.indexOf("run") + 1);
  const entry = rest.findIndex((arg) => /^(file|https?):/.test(arg));
  return entry === -1 ? rest : rest.slice(0, entry);
}

function unknown(flag: string): RangeError {
  return new RangeError(`a flag about permissions that is not known here: ${flag}`);
}
