import { LIMITS } from "#/core/limits.ts";
import type { Message } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";
import type { HistoryMessage } from "#/turn/history.ts";

/** What a provider adds around each message and call, in tokens. */
const MESSAGE_TOKENS = 4;
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
  /** System prompt and tool schemas. */
  readonly fixedTokens: number;
  tokensOf(entry: HistoryMessage): number;
  /** Set while counts are estimates: no tokenizer makes more of all of it, and it is below the limit. */
  readonly tokensMax: number | undefined;
}

/** What a call could be shown, and where the model ends. */
export interface MeasureInput {
  readonly session: string;
  readonly system: string;
  readonly tools: readonly ToolSchema[];
  readonly history: readonly HistoryMessage[];
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
 * every call carries once. Until all of a call's bytes are more than the model takes, everything fits whatever a tokenizer says, and a
 * quarter of the bytes is the count; then the tokenizer is loaded, once, for this guest.
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
    const counted = (entry: HistoryMessage) => countedIn(entries, entry);
    const texts = [input.system, input.tools.length === 0 ? "" : JSON.stringify(input.tools)];
    if (this.#fixed?.text !== texts.join()) this.#fixed = { text: texts.join(), counted: toCounted(texts) };
    const fixed = this.#fixed.counted;
    let tokensMax: number | undefined;
    if (this.#tokenize === undefined) {
      tokensMax = input.history.reduce((sum, e) => sum + counted(e).bytes + toOverhead(e.message), fixed.bytes);
      if (tokensMax > input.limitTokens) {
        tokensMax = undefined;
        this.#tokenize = await (this.#loading ??= this.#load());
      }
    }
    return {
      fixedTokens: this.#tokensOf(fixed, texts),
      tokensOf: (entry) => this.#tokensOf(counted(entry), toTexts(entry.message)) + toOverhead(entry.message),
      tokensMax,
    };
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
    if (entries === undefined || entries.size > 2 * LIMITS.historyEventsMax) entries = new Map();
    // Again at the end: the first one is the one that was silent for longest.
    this.#sessions.delete(session);
    this.#sessions.set(session, entries);
    if (this.#sessions.size > LIMITS.countedSessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    return entries;
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
