import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";
import type { HistoryMessage } from "#/turn/history.ts";

/** What a provider adds around each message and call, in tokens. */
const MESSAGE_TOKENS = 4;
/** Counts of a session that are of no use any more, beyond as many as it has messages. */
const STALE_COUNTS_MAX = 64;
/** What a message may have grown by since its range was counted, e.g. by the note that its turn was interrupted. */
const RANGE_TOKENS = 64;
/** Of the notes, among a session's counts: events count from 1. */
const NOTES_PLACE = 0;
/** What one picture or file costs: vendors count 700 to 1,600 for an image of ordinary size. */
const ATTACHMENT_TOKENS = 1_500;

/**
 * How many tokens of a model one of our tokenizer is. OpenAI's models since GPT-4o have this very tokenizer. Anthropic's is not public:
 * published comparisons with o200k_base find 15 to 30 % more tokens up to Claude Opus 4.6 and up to a third more again after it. For any
 * other (Gemini, Llama, Qwen, Mistral: 128,000 to 256,000 tokens in the vocabulary) a margin for texts that it knows less well.
 */
export function toTokenFactor(model: string): number {
  if (/(^|[/:.])(gpt-|chatgpt|o[1-9])/.test(model)) return 1;
  return /claude/.test(model) ? 1.5 : 1.15;
}

/** How large what a call is shown is. */
export interface Measure {
  /** System prompt, notes and tool schemas. */
  readonly fixedTokens: number;
  /** Of these, the notes. */
  readonly notesTokens: number;
  tokensOf(entry: HistoryMessage): number;
  /** Set while counts are estimates: no tokenizer makes more of all of it, and it is below the limit. */
  readonly tokensMax: number | undefined;
  /** Of these, the history. */
  readonly historyMax: number | undefined;
  /** What a later `CountedRange` says of so many of this model's tokens. */
  toOwnTokens(tokens: number): number;
}

/** Messages that were counted before, by the events `model_request` of an earlier turn: together they have at most `tokens` of our tokenizer. */
export interface CountedRange {
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly tokens: number;
}

/** What a call could be shown, and where the model ends. */
export interface MeasureInput {
  readonly session: string;
  readonly system: string;
  readonly tools: readonly ToolSchema[];
  readonly history: readonly HistoryMessage[];
  readonly notes?: readonly Message[];
  readonly counted?: CountedRange | undefined;
  readonly limitTokens: number;
}

/** Texts of one thing and what was found about them. */
interface Counted {
  readonly chars: number;
  /** UTF-8. No tokenizer makes more tokens of a text than it has bytes. */
  readonly bytes: number;
  tokens: number | undefined;
}

const encoder = new TextEncoder();

/**
 * Counts tokens so that a turn costs what it adds: a message is counted once, known again by its place in the session and its length, and what
 * every call carries once. Until all of a call's bytes, with the recorded count of what an earlier turn counted, are more than the limit,
 * everything fits whatever a tokenizer says, and a quarter of the bytes is the count of what has none; then the tokenizer is loaded, once, for
 * this guest.
 */
export class TokenCounter {
  readonly #load: () => Promise<(text: string) => number>;
  readonly #factor: number;
  #loading: Promise<(text: string) => number> | undefined;
  #tokenize: ((text: string) => number) | undefined;
  /** By session, then by place; a result's place is negative, since one that was never recorded stands at the place of its call. */
  readonly #sessions = new Map<string, Map<number, Counted>>();
  /** System prompt and tools: the same in every call of a day. */
  #fixed: { readonly text: string; readonly counted: Counted } | undefined;

  /** `load` opens the tokenizer; `factor` is `toTokenFactor` of the model. */
  constructor(options: { readonly load: () => Promise<(text: string) => number>; readonly factor: number }) {
    this.#load = options.load;
    this.#factor = options.factor;
  }

  /** Lets go of what was counted of a session; it is counted anew when it goes on. */
  drop(session: string): void {
    this.#sessions.delete(session);
  }

  /** Tokens of a text, not kept. */
  count(text: string): number {
    return this.#tokensOf(toCounted([text]), [text]);
  }

  /** Measures what a call could be shown, with the tokenizer when it matters. */
  async measure(input: MeasureInput): Promise<Measure> {
    const entries = this.#entriesOf(input.session);
    dropOld(entries, input.history);
    const counted = (entry: HistoryMessage) => countedIn(entries, entry);
    const texts = [input.system, input.tools.length === 0 ? "" : JSON.stringify(input.tools)];
    if (this.#fixed?.text !== texts.join()) this.#fixed = { text: texts.join(), counted: toCounted(texts) };
    const fixed = this.#fixed.counted;
    const notes = this.#notesOf(entries, input.notes ?? []);
    const historyMax = this.#boundOf(input, counted);
    const tokensMax = historyMax + this.#toBound(fixed) + this.#toBound(notes.counted) + notes.overhead;
    const isExact = tokensMax > input.limitTokens;
    if (isExact) this.#tokenize ??= await (this.#loading ??= this.#load());
    const size = (one: Counted, its: readonly string[]) =>
      isExact ? this.#tokensOf(one, its) : one.tokens ?? Math.ceil(one.bytes / 4);
    const notesTokens = size(notes.counted, notes.texts) + notes.overhead;
    return {
      fixedTokens: size(fixed, texts) + notesTokens,
      notesTokens,
      tokensOf: (entry) => size(counted(entry), toTexts(entry.message)) + toOverhead(entry.message),
      tokensMax: isExact ? undefined : tokensMax,
      historyMax: isExact ? undefined : historyMax,
      toOwnTokens: (tokens) => Math.ceil(tokens / this.#factor),
    };
  }

  /** Tokens of the history at most: the recorded count for what was counted before, bytes for what was never. */
  #boundOf({ history, counted: range }: MeasureInput, counted: (entry: HistoryMessage) => Counted): number {
    let sum = 0;
    let within = 0;
    for (const entry of history) {
      const one = this.#toBound(counted(entry)) + toOverhead(entry.message);
      if (range !== undefined && entry.seq >= range.fromSeq && entry.seq <= range.toSeq) within += one;
      else sum += one;
    }
    if (range === undefined) return sum + within;
    return sum + Math.min(within, Math.ceil(range.tokens * this.#factor) + RANGE_TOKENS);
  }

  #toBound({ tokens, bytes }: Counted): number {
    return tokens ?? bytes;
  }

  #notesOf(entries: Map<number, Counted>, notes: readonly Message[]) {
    const texts = notes.flatMap(toTexts);
    if (notes.length === 0) return { counted: toCounted(texts), texts, overhead: 0 };
    const overhead = notes.reduce((sum, note) => sum + toOverhead(note), 0);
    const known = entries.get(NOTES_PLACE);
    if (known?.chars === charsOf(texts)) return { counted: known, texts, overhead };
    const counted = toCounted(texts);
    entries.set(NOTES_PLACE, counted);
    return { counted, texts, overhead };
  }

  #tokensOf(counted: Counted, texts: readonly string[]): number {
    if (this.#tokenize === undefined) return Math.ceil(counted.bytes / 4);
    if (counted.tokens === undefined) {
      const tokens = texts.reduce((sum, text) => sum + this.#tokenize!(text), 0);
      counted.tokens = Math.ceil(tokens * this.#factor);
    }
    return counted.tokens;
  }

  #entriesOf(session: string): Map<number, Counted> {
    let entries = this.#sessions.get(session);
    if (entries === undefined || entries.size > LIMITS.countedMessagesMax / 2) entries = new Map();
    // Again at the end: the first one is the one that was silent for longest.
    this.#sessions.delete(session);
    this.#sessions.set(session, entries);
    let messages = this.#sessions.values().reduce((sum, { size }) => sum + size, 0);
    for (const [silent, { size }] of this.#sessions) {
      if (this.#sessions.size <= LIMITS.countedSessionsMax && messages <= LIMITS.countedMessagesMax) break;
      if (silent === session) break;
      this.#sessions.delete(silent);
      messages -= size;
    }
    return entries;
  }
}

/** Forgets what a summary stands for by now, or what is no longer read; not each time, as it looks at every one. */
function dropOld(entries: Map<number, Counted>, history: readonly HistoryMessage[]): void {
  const oldest = history[0]?.seq;
  if (oldest === undefined || entries.size <= 2 * history.length + STALE_COUNTS_MAX) return;
  for (const place of entries.keys()) {
    if (place !== NOTES_PLACE && Math.abs(place) < oldest) entries.delete(place);
  }
}

function countedIn(entries: Map<number, Counted>, { seq, message }: HistoryMessage): Counted {
  const place = message.role === "tool" ? -seq : seq;
  const known = entries.get(place);
  const texts = toTexts(message);
  // What stands at a place changes when a turn was cut off or its attachments are no longer shown, and then its length does.
  if (known !== undefined && known.chars === charsOf(texts)) return known;
  const counted = toCounted(texts);
  entries.set(place, counted);
  return counted;
}

function toCounted(texts: readonly string[]): Counted {
  const bytes = texts.reduce((sum, text) => sum + encoder.encode(text).length, 0);
  return { chars: charsOf(texts), bytes, tokens: undefined };
}

function charsOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

function toTexts(message: Message): readonly string[] {
  if (message.role !== "assistant") return [message.content];
  return [message.content, ...message.toolCalls.flatMap((call) => [call.name, call.arguments])];
}

function toOverhead(message: Message): number {
  const calls = message.role === "assistant" ? message.toolCalls.length : 0;
  const attachments = message.role === "user" ? message.attachments?.length ?? 0 : 0;
  return MESSAGE_TOKENS * (1 + calls) + ATTACHMENT_TOKENS * attachments;
}
