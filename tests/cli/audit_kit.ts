/** A machine with an audit log and an event log whose turns name its heads. */
import { join } from "node:path";
import type { AuditHead } from "#/core/audit.ts";
import type { EventLog } from "#/core/store.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { doneWith, messageOf, sessionOf } from "../contract/event_samples.ts";
import { denoEnv } from "../fixture/system.ts";
import { writeLog } from "../sandbox/audit_kit.ts";

/** Where things lie on it. */
export interface AuditedMachine extends Machine {
  readonly audit: string;
  readonly internal: string;
  readonly env: Readonly<Record<string, string>>;
  /** Notes one turn a head in the event log, and closes it. */
  remember(heads: readonly AuditHead[]): Promise<void>;
  openEvents(): Promise<EventLog>;
}

/** A machine with an empty workspace. */
export function makeAuditedMachine(): AuditedMachine {
  const machine = makeMachine();
  const user = join(machine.cwd, ".oxydra/workspaces/default");
  const internal = join(user, "internal");
  Deno.mkdirSync(internal, { recursive: true, mode: 0o700 });
  const openEvents = () => openEventLog({ path: join(internal, "oxydra.db"), now: Date.now });
  return {
    ...machine,
    audit: join(user, "audit"),
    internal,
    env: { ...denoEnv(), HOME: machine.home, NO_COLOR: "1" },
    openEvents,
    async remember(heads) {
      const log = await openEvents();
      await appendTurns(log, heads);
      await log.close();
    },
  };
}

/** Notes one turn a head. */
export async function appendTurns(log: EventLog, heads: readonly AuditHead[], name = "t"): Promise<void> {
  await log.ensureSession(sessionOf("s"));
  for (const [i, head] of heads.entries()) {
    await log.append("s", `${name}${i}`, [messageOf("hello"), doneWith(head)], { durability: "normal" });
  }
}

/** A machine whose log has `calls` calls, each remembered by a turn. */
export async function makeBusyMachine(
  calls: number,
): Promise<AuditedMachine & { readonly heads: readonly AuditHead[] }> {
  const machine = makeAuditedMachine();
  const heads = writeLog(machine.audit, calls);
  await machine.remember(heads);
  return { ...machine, heads };
}
