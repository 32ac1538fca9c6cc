/**
 * A gateway in a process of its own, for bench/clients.ts: real sockets, a real log, and sessions that stream stamps at a fixed pace.
 * Arguments: folder, user token, deltas a second. Prints its port.
 */
import { join } from "node:path";
import type { SessionEvent } from "#/core/event.ts";
import { openGateway } from "#/gateway/app.ts";
import { openEventLog } from "#/memory/sqlite.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { wallMs } from "./row.ts";

const [folder = "", token = "", rate = "20"] = Deno.args;
const periodMs = 1_000 / Number(rate);
const log = await openEventLog({ path: join(folder, "log.db"), now: Date.now });
const known = [{ id: "bench", sha256: await sha256Hex(token), scope: "owner" as const }];

/** Deltas at their time, none before and the late ones at once; the message says how many. */
async function* stream(session: string, turn: string, text: string, signal: AbortSignal): AsyncGenerator<SessionEvent> {
  const event = { type: "user_message", v: 1, payload: { text, channel: "tui" } } as const;
  yield* await log.append(session, turn, [event], { durability: "normal" });
  const startedAt = performance.now() + Math.random() * periodMs;
  for (let at = 0; at < Number(text) && !signal.aborted; at++) {
    const waitMs = startedAt + at * periodMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    yield { type: "text_delta", payload: { text: `${wallMs().toFixed(3)} ` } };
  }
  const payload = { text: "", finishReason: "stop", steps: 1, toolCalls: 0, denied: 0, usage: {} };
  yield* await log.append(session, turn, [{ type: "turn_done", v: 1, payload }], { durability: "normal" });
}

const gateway = openGateway({
  source: {
    send: ({ session, turn, text }, signal) => stream(session, turn, text, signal),
    async *resume() {},
    endParked: () => Promise.resolve([]),
    suspend: () => Promise.resolve(),
  },
  log,
  user: "bench",
  tokens: () => known,
  info: { version: "0", provider: "bench", model: "bench", reason: "a bench" },
  startupStatus: {
    sandbox_tier: "process",
    sidecar_available: false,
    shell_available: false,
    browser_available: false,
  },
  sessionsMax: 100_000,
  sessionIdleMs: 3_600_000,
  now: Date.now,
  answer: () => Promise.resolve(),
  exclusive: (_session, work) => work(),
  derived: () => Promise.resolve(),
  forget: () => Promise.resolve(),
  onClients: () => {},
  report: (error) => console.error(error),
});
console.log(gateway.listen({ hostname: "127.0.0.1", port: 0 }).port);
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
