import { AppError } from "#/core/error.ts";
import type { Message } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import type { Measure } from "#/turn/tokens.ts";

/** What a model call could be shown. `history` is valid as `toHistory` makes it and holds at least one user message. */
export interface WindowInput {
  readonly system: string;
  readonly history: readonly HistoryMessage[];
  /** Stand between the system prompt and the history, whatever else fits (notes.ts); their size is in `measure.fixedTokens`. */
  readonly notes?: readonly Message[];
  readonly measure: Measure;
  /** Tokens that the model takes in, less what is kept free because another tokenizer counts. */
  readonly limitTokens: number;
}

/** What a model call is shown. */
export interface Window {
  /** The system prompt, the notes, then the history that fits, oldest first. */
  readonly messages: readonly Message[];
  /** First and last event shown. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Messages of the history that did not fit. */
  readonly dropped: number;
  /** Size with the tool schemas. */
  readonly tokens: number;
  /** Nothing between the first and the last event shown is left out. */
  readonly isWhole: boolean;
}

/**
 * Fills the window newest first with whole exchanges: an assistant's calls and their results are never split, older history starts
 * at a user message, and the notes, the last user message and the newest exchange are always in. Pure. Throws AppError `budget_exceeded`
 * (params `used`, `limit`, in tokens) when those do not fit, RangeError for a history without a user message.
 */
export function planWindow(input: WindowInput): Window {
  const groups = toExchanges(input.history);
  const question = groups.findLastIndex((group) => group[0]!.message.role === "user");
  if (question === -1) throw new RangeError("a history without a user message");
  const { measure, limitTokens: limit } = input;
  const tokensOf = (group: readonly HistoryMessage[]) => group.reduce((sum, entry) => sum + measure.tokensOf(entry), 0);
  const newest = groups.length - 1;
  let tokens = measure.fixedTokens + tokensOf(groups[question]!);
  if (newest !== question) tokens += tokensOf(groups[newest]!);
  if (tokens > limit) throw overLimit(tokens, limit);

  let start = newest;
  for (let at = newest - 1; at >= 0; at--) {
    const more = at === question ? 0 : tokensOf(groups[at]!);
    if (tokens + more > limit) break;
    tokens += more;
    start = at;
  }
  while (start < question && groups[start]![0]!.message.role !== "user") tokens -= tokensOf(groups[start++]!);
  const shown = groups.slice(start).flat();
  if (start > question) shown.unshift(...groups[question]!);
  return {
    messages: [{ role: "system", content: input.system }, ...input.notes ?? [], ...shown.map((entry) => entry.message)],
    fromSeq: shown[0]!.seq,
    toSeq: shown.at(-1)!.seq,
    dropped: input.history.length - shown.length,
    tokens,
    isWhole: start <= question,
  };
}

/**
 * Hashes what model calls are shown, tool schemas included: hex sha256 of the canonical JSON of `[messages, tools]`. It keeps the text of
 * each message, so that a step of a long turn costs what it adds; one hasher serves one turn, and its messages do not change.
 */
export class WindowHasher {
  readonly #texts = new WeakMap<object, string>();

  hash({ messages }: Pick<Window, "messages">, tools: readonly ToolSchema[]): Promise<string> {
    return sha256Hex(`[[${messages.map((message) => this.#textOf(message)).join(",")}],${this.#textOf(tools)}]`);
  }

  #textOf(value: Message | readonly ToolSchema[]): string {
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    const text = canonicalJson(value);
    this.#texts.set(value, text);
    return text;
  }
}

function toExchanges(history: readonly HistoryMessage[]): HistoryMessage[][] {
  const groups: HistoryMessage[][] = [];
  for (const entry of history) {
    const group = groups.at(-1);
    if (entry.message.role === "tool" && group !== undefined) group.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

function overLimit(used: number, limit: number): AppError {
  return new AppError(
    "budget_exceeded",
    `The message and what belongs to it take about ${used} tokens; the model takes ${limit}. Send a shorter one, or choose a model with a larger context.`,
    { params: { used, limit } },
  );
}
