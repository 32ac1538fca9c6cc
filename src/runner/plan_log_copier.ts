import { join } from "#/lib/path.ts";
import { planBare, type PlanInput, type ProcessPlan, toFlagPath } from "#/runner/process_plan.ts";

/** What to do with an event log: copy it into an empty folder of its own, or put a backup in its place. Real paths. */
export type LogCopy =
  | { readonly what: "backup"; readonly scratchDir: string }
  | { readonly what: "restore"; readonly from: string; readonly stamp: string };

/** What decides the flags of the process that copies an event log. */
export interface LogCopierInput extends PlanInput {
  /** Real path of the guest's folder. */
  readonly internalDir: string;
  readonly copy: LogCopy;
}

/**
 * The process that copies or restores an event log: a guest can write the one and made the other, so no process that may do everything opens
 * either. A backup reads the guest's folder and writes one empty folder; a restore reads one file and writes the guest's folder. Pure.
 */
export function planLogCopier({ internalDir, copy, ...input }: LogCopierInput): ProcessPlan {
  const path = join(internalDir, "oxydra.db");
  const [reads, writes, words] = copy.what === "backup"
    ? [[internalDir, copy.scratchDir], copy.scratchDir, [path, join(copy.scratchDir, "backup.db")]]
    : [[copy.from, internalDir], internalDir, [copy.from, path, copy.stamp]];
  return planBare(input, "cli/log_copier.ts", {
    name: "log copier",
    flags: [`--allow-read=${reads.map(toFlagPath).join(",")}`, `--allow-write=${toFlagPath(writes)}`],
    words: [copy.what, ...words],
    reach: [`reads ${reads.join(" and ")}, writes ${writes}; connects to no host`],
  });
}
