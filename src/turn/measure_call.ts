import type { Message } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import { type Notes, toNoteMessages } from "#/turn/notes.ts";
import type { SummarySettings } from "#/turn/summary_plan.ts";
import type { CountedRange, Measure, TokenCounter } from "#/turn/tokens.ts";

/** The room of a model call, in tokens. */
export interface Room {
  /** What the model takes in. */
  readonly limitTokens: number;
  /** Kept free because another tokenizer counts: at most a quarter. */
  readonly safetyTokens: number;
  /** Absent: what does not fit is dropped. */
  readonly summary?: SummarySettings;
}

/** What a call could be shown. */
export interface CallContent {
  readonly session: string;
  readonly system: string;
  readonly tools: readonly ToolSchema[];
  readonly history: readonly HistoryMessage[];
  readonly notes: Notes;
  /** Messages that an earlier turn has counted. */
  readonly counted?: CountedRange | undefined;
}

/** What it could be shown, and how large that is. */
export interface MeasuredCall extends Omit<CallContent, "notes"> {
  readonly notes: readonly Message[];
  readonly measure: Measure;
  /** Tokens that it may take. */
  readonly limitTokens: number;
}

/** Tokens of a call at most. Pure. */
export function toUsableTokens({ limitTokens, safetyTokens }: Room): number {
  return limitTokens - Math.min(safetyTokens, Math.floor(limitTokens / 4));
}

/** Measures a call, exactly as soon as it could be beyond the trigger of a summary, else beyond the window. */
export async function measureCall(content: CallContent, room: Room, tokens: TokenCounter): Promise<MeasuredCall> {
  const limitTokens = toUsableTokens(room);
  const { summary } = room;
  // So that a note of a larger window never fills this one: a token has about four characters.
  const notes = toNoteMessages(content.notes, 2 * limitTokens);
  const exactFrom = summary === undefined ? limitTokens : Math.floor(summary.triggerRatio * limitTokens);
  const measure = await tokens.measure({ ...content, notes, limitTokens: exactFrom });
  return { ...content, notes, measure, limitTokens };
}
