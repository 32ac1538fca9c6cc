import { join } from "#/lib/path.ts";
import { planBare, type PlanInput, type ProcessPlan, toFlagPath } from "#/runner/process_plan.ts";

/** What to ask an event log: the heads of the audit log, or what models were used for since a time (integer ms UTC). */
export type LogQuestion = readonly ["heads"] | readonly ["usage", since: number];

/** What decides the flags of the process that reads an event log. */
export interface LogReaderInput extends PlanInput {
  /** Real path of the guest's folder. */
  readonly internalDir: string;
  readonly question: LogQuestion;
}

/**
 * The process that answers a question about the event log. The file is a guest's: no process that may do everything opens it,
 * and what this one prints is read like a stranger's word. SQLite needs no write permission, although it makes an empty `-wal` and
 * `-shm` where there are none (measured; a stopped, a killed and a live guest).
 */
export function planLogReader({ internalDir, question, ...input }: LogReaderInput): ProcessPlan {
  return planBare(input, "cli/log_reader.ts", {
    name: "log reader",
    flags: [`--allow-read=${toFlagPath(internalDir)}`],
    words: [join(internalDir, "oxydra.db"), ...question.map(String)],
    reach: [`reads ${internalDir}, nothing else; connects to no host`],
  });
}
