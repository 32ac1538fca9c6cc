import type { StoredEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { EventLog } from "#/core/store.ts";
import { HISTORY_TYPES, type HistoryMessage, toHistory } from "#/turn/history.ts";
import type { Room } from "#/turn/measure_call.ts";
import type { Summary } from "#/turn/notes.ts";
import type { CountedRange } from "#/turn/tokens.ts";

/** What a turn knows of its session. */
export interface KnownHistory {
  /** What is to be shown word for word, as far as it fits. */
  readonly history: HistoryMessage[];
  /** Stands for what was said before. */
  readonly summary: Summary | undefined;
  /** What an earlier turn has counted of it. */
  readonly counted: CountedRange | undefined;
}

/** Which part of a session is read. */
export interface HistoryOptions {
  /** The newest event that counts. */
  readonly toSeq: number;
  /** The turn that is to run; attachments of others are no longer shown. */
  readonly turn: string;
  /** It ran before, and its calls may have no result yet. */
  readonly goesOn?: boolean;
  /** What the history is read for. */
  readonly window: Room;
}

/**
 * Characters for each token of the window, beyond which nothing older is read. A text has about four a token, so that this is two windows full: one
 * that is shown and one that a summary replaces.
 */
const CHARS_PER_TOKEN = 8;

/** Summary requests and their repair may lie between a turn's end and the last request for an answer. */
const REQUESTS_READ = 8;

/**
 * The conversation up to and with event `toSeq`, read from its end: to what the last summary stands for, or until a window is more than full and a
 * summary has enough turns to replace, always to this turn's own message, and within `historyEventsMax` and `historyCharsMax`. What it costs does not
 * depend on the length of the session. Throws AppError `store_*`.
 */
export async function readHistory(log: EventLog, session: string, options: HistoryOptions): Promise<KnownHistory> {
  const { toSeq, turn, goesOn = false } = options;
  const last = await log.lastSummary(session);
  const events = await readBack(log, session, options, last?.payload.toSeq ?? 0);
  const history = toHistory(events, { attachmentsOf: turn, ...(goesOn ? { open: turn } : {}) });
  return { history, summary: last?.payload, counted: await readCounted(log, session, toSeq) };
}

async function readBack(
  log: EventLog,
  session: string,
  { toSeq, turn, window }: HistoryOptions,
  summarisedTo: number,
): Promise<StoredEvent[]> {
  const charsMax = Math.min(CHARS_PER_TOKEN * window.limitTokens, LIMITS.historyCharsMax);
  // Those that stay word for word come on top of those that a summary replaces.
  const turnsMin = 2 * (window.summary?.minTurns ?? 0);
  const events: StoredEvent[] = [];
  let [chars, turns, isOwnRead, beforeSeq] = [0, 0, false, toSeq + 1];
  while (events.length < LIMITS.historyEventsMax) {
    const limit = Math.min(LIMITS.historyPageEventsMax, LIMITS.historyEventsMax - events.length);
    const page = await log.readBack(session, { beforeSeq, limit, types: HISTORY_TYPES });
    for (const event of page) {
      if (isOwnRead && event.seq <= summarisedTo) return events.reverse();
      events.push(event);
      chars += charsOf(event);
      if (event.type !== "user_message") continue;
      turns++;
      isOwnRead ||= event.turn === turn;
      const isCovered = chars > charsMax && (turns > turnsMin || chars > LIMITS.historyCharsMax);
      if (isOwnRead && isCovered) return events.reverse();
    }
    if (page.length < limit) break;
    beforeSeq = page.at(-1)!.seq;
  }
  return events.reverse();
}

function charsOf(event: StoredEvent): number {
  switch (event.type) {
    case "user_message":
    case "steering":
    case "tool_result":
      return event.payload.text.length;
    case "model_result":
      return event.payload.toolCalls.reduce((sum, call) => sum + call.arguments.length, event.payload.text.length);
    default:
      return 0;
  }
}

async function readCounted(log: EventLog, session: string, toSeq: number): Promise<CountedRange | undefined> {
  const requests = await log.readBack(session, {
    beforeSeq: toSeq + 1,
    limit: REQUESTS_READ,
    types: ["model_request"],
  });
  for (const event of requests) {
    if (event.type !== "model_request" || event.payload.purpose !== undefined) continue;
    const { fromSeq, toSeq, tokensMax } = event.payload.window;
    return tokensMax === undefined ? undefined : { fromSeq, toSeq, tokens: tokensMax };
  }
  return undefined;
}
