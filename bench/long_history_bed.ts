/** A session as it grows by itself: the real loop, window, summaries, tokens and SQLite log; the model and the tools answer from a script. */
import type { ModelEvent, ModelRequest, Provider } from "#/core/provider.ts";
import type { EventLog } from "#/core/store.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import type { SendDeps } from "#/session/drive.ts";
import { openSessions } from "#/session/session.ts";
import { toTools } from "#/tools/registry.ts";
import { toSchema } from "#/tools/to_schema.ts";
import { Ledger } from "#/turn/ledger.ts";
import { toSystemPrompt } from "#/turn/prompt.ts";
import { openTokenizer } from "#/turn/tokenizer.ts";
import { TokenCounter } from "#/turn/tokens.ts";
import { ok } from "../tests/fake/recording_sandbox.ts";

/** Everything that a turn needs. */
export interface SessionBed {
  readonly log: EventLog;
  /** Runs turn `n` to its end; returns ms from the message to the model call. */
  turn(session: string, n: number): Promise<number>;
  close(): Promise<void>;
}

const LINE = "2026-11-24 12:31:07 orders: 4711 rows read from /shared/data/orders.csv, 12 refused, next run at 13:30\n";
const SUMMARY = "The person keeps an eye on the orders of each day. ".repeat(30);

/** Opens the log of a folder and what turns are made of. `summarised` false leaves what does not fit to be dropped. */
export async function openSessionBed(folder: string, options: { readonly summarised: boolean }): Promise<SessionBed> {
  const log = await openEventLog({ path: `${folder}/oxydra.db`, now: Date.now });
  const sessions = await openSessions({
    log,
    lanes: { runningMax: 10, queuedMax: 32 },
    now: Date.now,
    report: (error) => console.error(error),
  });
  let askedAt = 0;
  const provider = scripted(() => askedAt = performance.now());
  const deps = toSendDeps(provider, options.summarised);
  return {
    log,
    async turn(session, n) {
      const startedAt = performance.now();
      askedAt = 0;
      let first = 0;
      const message = {
        session,
        turn: `t${n}`,
        channel: "cli",
        text: `How did the orders of day ${n} go? Look at both files.`,
      };
      for await (const event of sessions.send(message, deps, new AbortController().signal)) {
        if (first === 0 && askedAt !== 0) first = askedAt;
        if (event.type === "turn_failed") throw new Error(event.payload.message);
      }
      return first - startedAt;
    },
    close: () => log.close(),
  };
}

function toSendDeps(provider: Provider, summarised: boolean): SendDeps {
  const summary = { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 };
  return {
    provider,
    sandbox: { call: ({ tool }) => Promise.resolve(ok(tool, LINE.repeat(16))) },
    now: Date.now,
    delay: (ms, signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      }),
    ledger: new Ledger({ models: [{ provider: "scripted", model: "gpt-5" }], spentToday: 0, now: Date.now }),
    tokens: new TokenCounter({ load: openTokenizer, factor: 1 }),
    setup: {
      principal: { user: "default", agent: ["default"], origin: "channel" },
      model: "gpt-5",
      system: toSystemPrompt({ agent: "Oxydra", now: Date.now(), timezone: "UTC", roots: [], hasTools: true }),
      tools: [...toTools().values()].map((tool) => ({ schema: toSchema(tool), effect: tool.effect })),
      budgets: { stepsMax: 100, toolCallsMax: 1_000, tokensMax: 20_000_000, timeoutMs: 60_000 },
      window: { limitTokens: 128_000, safetyTokens: 1_024, ...(summarised ? { summary } : {}) },
    },
  };
}

/** Reads two files one after the other, then answers; writes a summary when it is asked for one. */
function scripted(asked: () => void): Provider {
  return {
    name: "scripted",
    async *stream(request: ModelRequest): AsyncGenerator<ModelEvent> {
      await Promise.resolve();
      const usage: ModelEvent = { type: "usage", usage: { promptTokens: 50_000, completionTokens: 80 } };
      if (request.messages[0]!.content.startsWith("You write the notes")) {
        return yield* [usage, { type: "text", text: SUMMARY }, { type: "done", finishReason: "stop" }] as ModelEvent[];
      }
      asked();
      const question = request.messages.findLastIndex(({ role }) => role === "user");
      const results = request.messages.slice(question).filter(({ role }) => role === "tool").length;
      yield usage;
      if (results === 2) {
        yield { type: "text", text: "Both runs are fine: 4711 rows were read, and 12 of them refused. ".repeat(4) };
        return yield { type: "done", finishReason: "stop" };
      }
      const args = JSON.stringify({ path: `/shared/logs/orders-${results}.log` });
      yield { type: "tool_call", call: { id: `call_${question}_${results}`, name: "file_read", arguments: args } };
      yield { type: "done", finishReason: "tool_calls" };
    },
  };
}
