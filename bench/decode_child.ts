/** `deno run -A --no-lock bench/decode_child.ts TYPE`: reads one stream by our provider and by the vendor's package in turn; prints `Decoded`. */
import { Secret } from "#/lib/secret.ts";
import { DIALECTS } from "../tests/contract/dialects.ts";
import { toSse } from "../tests/contract/sse_forms.ts";
import type { Dialect } from "../tests/fake/dialect.ts";
import type { Decoded } from "./decode.ts";
import { median, timed } from "./row.ts";

const BYTES = 20_000_000;
const PIECE_BYTES = 16_384;
const ROUNDS = 5;
/** Stands once in a recorded delta; each copy says a word in its place. */
const MARK = "☃";
const WORDS = [" the", " river", " says", " that", ' \\"it\\"', " is", " so", ",\\n", " früh", " 世界", " 🌊", "."];

/** Reads a whole stream through `fetch`; returns the characters of its text. */
type Read = (fetch: typeof globalThis.fetch) => Promise<number>;

interface Vendor {
  readonly package: string;
  readonly read: Read;
}

const VENDORS: Readonly<Record<Dialect["type"], Vendor>> = {
  openai: { package: "openai@7.57.0", read: readChat },
  openai_responses: { package: "openai@7.57.0", read: readResponses },
  anthropic: { package: "@anthropic-ai/sdk@1.12.0", read: readMessages },
  gemini: { package: "@google/genai@3.1.0", read: readContent },
};

/** The reply of one word, its delta repeated until the body is long enough. */
function toBody(dialect: Dialect): { body: Uint8Array; deltaBytes: number } {
  const encoder = new TextEncoder();
  const events = dialect.toEvents([{ kind: "text", text: MARK }], { reason: "stop" });
  const at = events.findIndex(({ data }) => data.includes(MARK));
  const deltas = WORDS.map((word) => toSse({ ...events[at]!, data: events[at]!.data.replace(MARK, word) })).join("");
  const deltasBytes = encoder.encode(deltas).length;
  const write = (part: typeof events) => part.map((event) => toSse(event)).join("");
  const body = write(events.slice(0, at)) + deltas.repeat(Math.ceil(BYTES / deltasBytes)) + write(events.slice(at + 1));
  return { body: encoder.encode(body), deltaBytes: Math.round(deltasBytes / WORDS.length) };
}

function serve(body: Uint8Array): typeof fetch {
  return () => {
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= body.length) return controller.close();
        controller.enqueue(body.slice(at, at += PIECE_BYTES));
      },
    });
    return Promise.resolve(new Response(stream, { headers: { "content-type": "text/event-stream" } }));
  };
}

function readOurs(dialect: Dialect): Read {
  return async (fetch) => {
    const provider = await dialect.open({ name: "bench", apiKey: new Secret("key"), fetch });
    const request = {
      model: "fake-1",
      messages: [{ role: "user" as const, content: "Hi" }],
      tools: [],
      timeoutMs: 60_000,
    };
    let chars = 0;
    for await (const event of provider.stream(request, new AbortController().signal)) {
      if (event.type === "text") chars += event.text.length;
      if (event.type === "failed") throw new Error(event.message);
    }
    return chars;
  };
}

/** Not by a literal, so that nobody who checks the benches downloads it. */
function load(vendor: Dialect["type"]) {
  return import(`npm:${VENDORS[vendor].package}`);
}

async function readChat(fetch: typeof globalThis.fetch): Promise<number> {
  const { default: OpenAI } = await load("openai");
  const client = new OpenAI({ apiKey: "key", fetch, maxRetries: 0 });
  let chars = 0;
  for await (const chunk of await client.chat.completions.create({ model: "fake-1", messages: [], stream: true })) {
    chars += chunk.choices[0]?.delta?.content?.length ?? 0;
  }
  return chars;
}

async function readResponses(fetch: typeof globalThis.fetch): Promise<number> {
  const { default: OpenAI } = await load("openai_responses");
  const client = new OpenAI({ apiKey: "key", fetch, maxRetries: 0 });
  let chars = 0;
  for await (const event of await client.responses.create({ model: "fake-1", input: "Hi", stream: true })) {
    if (event.type === "response.output_text.delta") chars += event.delta.length;
  }
  return chars;
}

async function readMessages(fetch: typeof globalThis.fetch): Promise<number> {
  const { default: Anthropic } = await load("anthropic");
  const client = new Anthropic({ apiKey: "key", fetch, maxRetries: 0 });
  const messages = [{ role: "user", content: "Hi" }];
  let chars = 0;
  for await (const event of await client.messages.create({ model: "fake-1", max_tokens: 1, messages, stream: true })) {
    if (event.type === "content_block_delta") chars += event.delta.text.length;
  }
  return chars;
}

async function readContent(fetch: typeof globalThis.fetch): Promise<number> {
  const { GoogleGenAI } = await load("gemini");
  // The package takes no fetch of its caller.
  globalThis.fetch = fetch;
  const client = new GoogleGenAI({ apiKey: "key" });
  let chars = 0;
  for await (const chunk of await client.models.generateContentStream({ model: "fake-1", contents: "Hi" })) {
    for (const part of chunk.candidates?.[0]?.content?.parts ?? []) chars += part.text?.length ?? 0;
  }
  return chars;
}

if (import.meta.main) {
  const dialect = DIALECTS.find(({ type }) => type === Deno.args[0]);
  if (!dialect) throw new TypeError(`no provider ${Deno.args[0]}`);
  const { body, deltaBytes } = toBody(dialect);
  const vendor = VENDORS[dialect.type];
  const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  const readers = { ours: readOurs(dialect), theirs: vendor.read };
  const chars = new Set<number>();
  // The first round warms both.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const who of ["ours", "theirs"] as const) {
      const ms = await timed(async () => chars.add(await readers[who](serve(body))));
      if (round > 0) times[who].push(ms);
    }
  }
  if (chars.size !== 1) throw new Error(`the readers do not agree: ${[...chars].join(", ")} characters`);
  const rate = (ms: readonly number[]) => body.length / 1_000 / median(ms);
  const decoded: Decoded = { ours: rate(times.ours), theirs: rate(times.theirs), deltaBytes, package: vendor.package };
  console.log(JSON.stringify(decoded));
}
