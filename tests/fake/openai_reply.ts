/** What a fake vendor answers: one list of steps per reply, written in order. */
export type Step =
  /** One SSE event with this JSON; a function is asked when its turn comes. */
  | { readonly kind: "chunk"; readonly chunk: Chunk | (() => Chunk) }
  /** Bytes as they are. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array }
  /** An SSE comment, as vendors send to keep a connection open. */
  | { readonly kind: "ping" }
  | { readonly kind: "pause"; readonly ms: number }
  /** Nothing more until this promise settles or the client leaves. */
  | { readonly kind: "wait"; readonly until: Promise<unknown> };

/** One `chat.completion.chunk`, as far as a test cares. */
export type Chunk = Readonly<Record<string, unknown>>;

/** How a reply ends: properly, by closing inside the body, by a TCP reset, or never. */
export type Ending = "end" | "cut" | "reset" | "hang";

/** One whole answer. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
  readonly ending: Ending;
  /** Bytes per write; 0 writes each step whole. */
  readonly fragmentBytes: number;
  /** End of line inside SSE events. */
  readonly newline: "\n" | "\r\n";
}

/** Settings of a streamed reply. */
export interface ReplyOptions {
  /** Default `tool_calls` when there is one, else `stop`; `null` leaves it out. */
  readonly finish?: string | null;
  /** `false` leaves `data: [DONE]` out. */
  readonly done?: boolean;
  /** Sent in a last chunk with empty `choices`, as OpenAI does. */
  readonly usage?: Chunk;
  readonly ending?: Ending;
  readonly fragmentBytes?: number;
  readonly newline?: "\n" | "\r\n";
  readonly headers?: Readonly<Record<string, string>>;
}

const encoder = new TextEncoder();

function delta(content: Chunk): Step {
  return { kind: "chunk", chunk: envelope({ choices: [{ index: 0, delta: content, finish_reason: null }] }) };
}

function envelope(fields: Chunk): Chunk {
  return { id: "chatcmpl-fake", object: "chat.completion.chunk", created: 1_700_000_000, model: "fake-1", ...fields };
}

/** Text cut into `deltas` pieces by code points (default: one per word). */
export function text(content: string, options: { deltas?: number } = {}): Step[] {
  return cut(content, options.deltas ?? content.split(/(?<= )/).length).map((part) => delta({ content: part }));
}

/** One delta whose text is asked for at the moment it is written, e.g. a time stamp. */
export function late(content: () => string): Step[] {
  return [{ kind: "chunk", chunk: () => envelope({ choices: [{ index: 0, delta: { content: content() } }] }) }];
}

/** Reasoning text, in one delta, under the field that this vendor uses. */
export function reasoning(content: string, field: "reasoning_content" | "reasoning" = "reasoning_content"): Step[] {
  return [delta({ [field]: content })];
}

/** Settings of one streamed tool call. */
export interface CallOptions {
  readonly index?: number;
  /** `null` leaves the id out. */
  readonly id?: string | null;
  /** Pieces that the arguments come in. */
  readonly fragments?: number;
  /** The name comes in two pieces. */
  readonly splitName?: boolean;
  /** The id and name are repeated with each piece. */
  readonly repeatHead?: boolean;
}

/** A tool call in fragments. `args` is JSON text as it is, or a value to be written as JSON. */
export function toolCall(name: string, args: unknown, options: CallOptions = {}): Step[] {
  const json = typeof args === "string" ? args : JSON.stringify(args);
  const index = options.index ?? 0;
  const id = options.id === null ? {} : { id: options.id ?? `call_${index}` };
  const head = { index, ...id, type: "function" };
  const names = options.splitName ? [name.slice(0, 3), name.slice(3)] : [name];
  const steps = names.map((part, at) =>
    delta({ tool_calls: [{ ...(at === 0 ? head : { index }), function: { name: part, arguments: "" } }] })
  );
  for (const part of cut(json, options.fragments ?? 1)) {
    const repeated = options.repeatHead ? { ...head, function: { name, arguments: part } } : undefined;
    steps.push(delta({ tool_calls: [repeated ?? { index, function: { arguments: part } }] }));
  }
  return steps;
}

/** Takes one step from each list in turn, as vendors that stream several calls at once do. */
export function interleave(...lists: readonly (readonly Step[])[]): Step[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}

/** Vendor's token counts. */
export function usage(prompt: number, completion: number, cached = 0): Chunk {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** A chunk with exactly these fields. */
export function chunk(fields: Chunk): Step[] {
  return [{ kind: "chunk", chunk: fields }];
}

/** Bytes in the body as they are, e.g. broken SSE. */
export function raw(content: string | Uint8Array): Step[] {
  return [{ kind: "raw", bytes: typeof content === "string" ? encoder.encode(content) : content }];
}

/** An SSE comment. */
export function ping(): Step[] {
  return [{ kind: "ping" }];
}

/** Silence of a fixed length. */
export function pause(ms: number): Step[] {
  return [{ kind: "pause", ms }];
}

/** Silence until the promise settles. */
export function waitFor(until: Promise<unknown>): Step[] {
  return [{ kind: "wait", until }];
}

/** A streamed reply made of the pieces above: `reply([text("Hi"), toolCall("file_read", { path })])`. */
export function reply(pieces: readonly (readonly Step[])[], options: ReplyOptions = {}): Reply {
  const steps = [delta({ role: "assistant", content: "" }), ...pieces.flat()];
  const called = steps.some((step) => step.kind === "chunk" && JSON.stringify(step.chunk)?.includes('"tool_calls"'));
  const finish = options.finish === undefined ? (called ? "tool_calls" : "stop") : options.finish;
  if (finish !== null) {
    steps.push({ kind: "chunk", chunk: envelope({ choices: [{ index: 0, delta: {}, finish_reason: finish }] }) });
  }
  if (options.usage) steps.push({ kind: "chunk", chunk: envelope({ choices: [], usage: options.usage }) });
  if (options.done !== false) steps.push(...raw(`data: [DONE]${(options.newline ?? "\n").repeat(2)}`));
  return {
    status: 200,
    headers: { "content-type": "text/event-stream; charset=utf-8", ...options.headers },
    steps,
    ending: options.ending ?? "end",
    fragmentBytes: options.fragmentBytes ?? 0,
    newline: options.newline ?? "\n",
  };
}

/** Any other answer: an error, an HTML page, five megabytes of nothing. Objects are written as JSON. */
export function answer(
  status: number,
  body: string | Uint8Array | Chunk,
  options: { headers?: Readonly<Record<string, string>>; ending?: Ending; fragmentBytes?: number } = {},
): Reply {
  const isJson = typeof body !== "string" && !(body instanceof Uint8Array);
  const bytes = body instanceof Uint8Array ? body : encoder.encode(isJson ? JSON.stringify(body) : body as string);
  const type = isJson ? "application/json" : "text/html; charset=utf-8";
  return {
    status,
    headers: { "content-type": type, ...options.headers },
    steps: [{ kind: "raw", bytes }],
    ending: options.ending ?? "end",
    fragmentBytes: options.fragmentBytes ?? 0,
    newline: "\n",
  };
}

/** An error in OpenAI's shape. */
export function vendorError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  return answer(status, { error: { message, type: "fake_error", param: null, code: null } }, { headers });
}

/** Closes the connection without a byte (`reset`: by RST), or never says anything (`hang`). */
export function noAnswer(ending: "cut" | "reset" | "hang"): Reply {
  return { status: 0, headers: {}, steps: [], ending, fragmentBytes: 0, newline: "\n" };
}

function cut(content: string, parts: number): string[] {
  const points = Array.from(content);
  const size = Math.max(1, Math.ceil(points.length / Math.max(1, parts)));
  const out: string[] = [];
  for (let at = 0; at < points.length; at += size) out.push(points.slice(at, at + size).join(""));
  return out;
}
