import type { RawClient } from "../tests/fixture/system.ts";
import { openTokenizer } from "#/turn/tokenizer.ts";
import { openBed, runTurn } from "./bed.ts";
import { type Bench, median, type Row, timed } from "./row.ts";

const ROUNDS = 30;
const WARM_ROUNDS = 10;
/** Turns that say 100,000 tokens together. */
const TURNS = 40;
const TOKENS = 100_000;
const WORDS = "The quick brown fox jumps over the lazy dog, while 42 others watch; function f(x) { return x + 1; }\n";
/** Answers with one delta. */
const ASK = "deltas 1";

type Client = RawClient & { readonly session: string };

/** What a long history adds to a turn: to its request, and to its first word beyond what a plain fetch of the same body takes. */
export const history: Bench = {
  name: "history",
  async run() {
    const tokens = await measureTokenizer();
    // All of it is to be sent: a summary would halve it.
    const bed = await openBed({ OXYDRA__RUNTIME__CONTEXT_BUDGET__TRIGGER_RATIO: "1" });
    try {
      const long = await bed.connect();
      const part = WORDS.repeat(Math.ceil(TOKENS / TURNS / tokens.perUnit));
      for (let turn = 0; turn < TURNS; turn++) await runTurn(long, `${ASK} ${part}`);
      const [short, fetched]: [number[], number[]] = [[], []];
      const [asked, spoke, extra]: [number[], number[], number[]] = [[], [], []];
      for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
        const fresh = await bed.connect();
        const without = await toFirstWord(fresh);
        fresh.close();
        const small = await fetchBody(bed.vendorUrl, 1);
        const withIt = await toFirstWord(long);
        const large = await fetchBody(bed.vendorUrl, part.length * TURNS);
        if (round < 0) continue;
        short.push(without.asked);
        fetched.push(large - small);
        asked.push(withIt.asked - without.asked);
        spoke.push(withIt.spoke - without.spoke);
        extra.push(withIt.spoke - without.spoke - (large - small));
      }
      long.close();
      const note = `median difference of ${ROUNDS} pairs; ${median(short).toFixed(1)} ms without a history`;
      return [
        {
          name: "a history of 100,000 tokens: adds until model_request",
          value: median(asked),
          unit: "ms",
          target: 10,
          note,
        },
        {
          name: "the same until the first word, beyond a plain fetch of the body",
          value: median(extra),
          unit: "ms",
          note: `adds ${median(spoke).toFixed(1)} ms, of which the body takes ${
            median(fetched).toFixed(1)
          } ms by plain fetch`,
        },
        ...tokens.rows,
      ];
    } finally {
      await bed.close();
    }
  },
};

async function measureTokenizer(): Promise<{ rows: Row[]; perUnit: number }> {
  const before = readPss();
  let count!: (text: string) => number;
  const open = await timed(async () => count = await openTokenizer());
  const after = readPss();
  const text = WORDS.repeat(4_000);
  const first = await timed(() => Promise.resolve(count(text)));
  const again: number[] = [];
  for (let i = 0; i < 5; i++) again.push(await timed(() => Promise.resolve(count(text))));
  const total = count(text);
  const note = `${first.toFixed(0)} ms the first time; ${total} tokens in ${(text.length / 1e3).toFixed(0)} KB`;
  return {
    perUnit: total / 4_000,
    rows: [
      {
        name: "the tokenizer opens",
        value: open,
        unit: "ms",
        note: "once a guest, when a call could be over the window",
      },
      {
        name: "the tokenizer holds",
        value: after - before,
        unit: "MB",
        note: "PSS, what opening left behind included",
      },
      { name: "100,000 tokens are counted", value: median(again) * TOKENS / total, unit: "ms", note },
    ],
  };
}

/** Ms from the message to its `model_request`, and to the first word of the answer. */
async function toFirstWord(client: Client): Promise<{ asked: number; spoke: number }> {
  const startedAt = performance.now();
  const turn_id = crypto.randomUUID();
  client.send("send_turn", { request_id: "r", session_id: client.session, turn_id, prompt: ASK });
  const is = (kind: string) => (frame: { type: string; payload: { event?: { type: string } } }) =>
    frame.type === "turn_event" && frame.payload.event?.type === kind;
  await client.next(is("model_request"));
  const asked = performance.now() - startedAt;
  await client.next(is("text_delta"));
  const spoke = performance.now() - startedAt;
  await client.next((frame) => frame.type === "turn_completed");
  return { asked, spoke };
}

/** Ms until a body of about this size is answered. */
async function fetchBody(vendorUrl: string, chars: number): Promise<number> {
  const messages = [{ role: "user", content: "x".repeat(chars) }, { role: "user", content: ASK }];
  const body = JSON.stringify({ model: "fake-1", stream: true, messages });
  return await timed(async () => {
    const response = await fetch(`${vendorUrl}/chat/completions`, { method: "POST", body });
    for await (const _ of response.body!);
  });
}

/** Megabytes of this process. */
function readPss(): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(Deno.readTextFileSync("/proc/self/smaps_rollup"))?.[1] ?? 0) * 1_024 / 1e6;
}
