import { join } from "#/lib/path.ts";
import { type ProcessPlan, type Program, toChildEnv, toFlagPath, withParentDeath } from "#/runner/process_plan.ts";
import { toBareFlags } from "#/sandbox/child_plan.ts";

/** What decides the flags of the process that reads heads. */
export interface AuditHeadsInput {
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  /** Real path of the guest's folder. */
  readonly internalDir: string;
}

/**
 * The process that reads heads of the audit log from the event log. The file is a guest's: no process that may do everything opens it,
 * and what this one prints is read like a stranger's word. SQLite needs no write permission, although it makes an empty `-wal` and
 * `-shm` where there are none (measured; a stopped, a killed and a live guest).
 */
export function planAuditHeads({ program, env, internalDir }: AuditHeadsInput): ProcessPlan {
  const entryUrl = new URL("cli/audit_heads.ts", program.srcUrl).href;
  const host = program.source === "url" ? { host: new URL(program.srcUrl).host } : {};
  const args = [
    "run",
    "-q",
    ...toBareFlags({ entryUrl, source: program.source, ...host }),
    `--allow-read=${toFlagPath(internalDir)}`,
    entryUrl,
    join(internalDir, "oxydra.db"),
  ];
  return {
    name: "audit heads",
    ...withParentDeath(program, args),
    env: toChildEnv(env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME"]),
    reach: [`reads ${internalDir}, nothing else; connects to no host`],
  };
}
