import type { Sandbox } from "#/core/capability.ts";
import type { SessionEvent, StoredEvent } from "#/core/event.ts";
import type { Provider } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import type { SendDeps } from "#/session/drive.ts";
import { openSessions, type SessionMessage, type Sessions } from "#/session/session.ts";
import type { TurnSetup } from "#/turn/turn.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { toDeps, toInput } from "../turn/turn_kit.ts";

export const never = new AbortController().signal;

/** Each kind of log that a session must work with, opened anew for one test. */
export const LOGS:
  readonly (readonly [name: string, use: (test: (log: EventLog) => Promise<void>) => Promise<void>])[] = [
    ["memory", (test) => test(new MemoryLog())],
    ["sqlite", async (test) => {
      const dir = await Deno.makeTempDir();
      const log = await openEventLog({ path: `${dir}/events.db`, now: Date.now });
      try {
        await test(log);
      } finally {
        await log.close();
        await Deno.remove(dir, { recursive: true });
      }
    }],
  ];

export interface Reported {
  readonly sessions: Sessions;
  readonly reports: unknown[];
}

export async function open(log: EventLog, lanes = { runningMax: 10, queuedMax: 32 }): Promise<Reported> {
  const reports: unknown[] = [];
  const sessions = await openSessions({ log, lanes, now: Date.now, report: (error) => void reports.push(error) });
  return { sessions, reports };
}

export function toMessage(turn: string, text = `text of ${turn}`, session = "s"): SessionMessage {
  return { session, turn, text, channel: "test" };
}

export function toSendDeps(
  provider: Provider,
  sandbox?: Pick<Sandbox, "call">,
  changes: Partial<TurnSetup> = {},
): SendDeps {
  const { principal, model, system, tools, budgets, window } = toInput();
  const setup = { principal, model, system, tools, budgets, window, ...changes };
  return { ...toDeps(provider, sandbox ?? new RecordingSandbox({})), setup };
}

export async function collect(events: AsyncIterable<SessionEvent>): Promise<SessionEvent[]> {
  const all: SessionEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export function types(events: readonly { readonly type: string }[]): string[] {
  return events.map((event) => event.type);
}

export async function readAll(log: EventLog, session = "s"): Promise<readonly StoredEvent[]> {
  return await log.read(session, { fromSeq: 1, limit: 10_000 });
}
