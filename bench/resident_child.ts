/**
 * A guest as it is composed, in one process with a client and a vendor that answers from memory: `deno run -A --v8-flags=--expose-gc
 * resident_child.ts FOLDER TURNS SESSIONS CONTEXT` prints a line of JSON `{ turns, rss, heap }` (MB) at 200, 1,000 and then each 1,000 turns.
 */
import { openGuest } from "#/app/compose.ts";
import type { ToolRequest } from "#/core/capability.ts";
import { toSyntheticDescriptor } from "#/provider/descriptor.ts";
import { ok } from "../tests/fake/recording_sandbox.ts";
import { demoBootstrap } from "../tests/fixture/workspace.ts";

const [folder, turns, sessions] = [Deno.args[0]!, Number(Deno.args[1]), Number(Deno.args[2])];
const LINE = "2026-11-24 12:31:07 orders: 4711 rows read from /shared/data/orders.csv, 12 refused, next run at 13:30\n";
/** V8's own name for a collection that also gives back the pages that it keeps for the next one. */
const LAST_RESORT = { type: "major", execution: "sync", flavor: "last-resort" };
const collect = (globalThis as unknown as { gc: (options: typeof LAST_RESORT) => void }).gc;

const base = demoBootstrap(folder);
const bootstrap = {
  ...base,
  model: {
    provider: "vendor",
    type: "openai",
    model: "gpt-5",
    descriptor: toSyntheticDescriptor("gpt-5", 128_000),
    baseUrl: "http://127.0.0.1:9/v1",
    apiKey: "sk-none",
    extraHeaders: {},
    reason: "a bench",
  },
  settings: {
    ...base.settings,
    contextTokensMax: Number(Deno.args[3]),
    sessionsMax: 1_000,
    summary: { triggerRatio: 0.85, targetRatio: 0.5, minTurns: 6 },
  },
} as typeof base;
const guest = await openGuest(bootstrap, {
  sandbox: {
    call: ({ tool }: ToolRequest) => Promise.resolve(ok(tool, LINE.repeat(16))),
    answer: () => Promise.resolve("unknown"),
  } as never,
  fetch: vendor,
  now: Date.now,
  onListening: () => Promise.resolve(),
  onClients: () => {},
  onTurn: () => {},
  onTurns: () => {},
  onResolved: () => {},
  report: (error) => console.error(error),
});
const headers = { authorization: `Bearer ${bootstrap.startToken}` };
const socket = new WebSocket(`ws://127.0.0.1:${guest.port}/ws`, { headers } as never);
// deno-lint-ignore no-explicit-any
let ended = Promise.withResolvers<any>();
socket.onmessage = ({ data }) => {
  const { type, payload } = JSON.parse(data);
  if (/^(turn_completed|hello_ack|session_created|session_switched)$/.test(type)) ended.resolve(payload);
  if (type === "error" || type === "turn_cancelled") ended.reject(new Error(JSON.stringify(payload)));
};
await new Promise((resolve) => socket.onopen = resolve);
await ask("hello", {
  protocol_version: 2,
  user_id: "default",
  create_new_session: false,
  capabilities: ["turn_events"],
});
const ids: string[] = [];
for (let n = 0; n < turns; n++) {
  if (n < sessions) {
    const { session } = await ask("create_session", {});
    ids.push(session.session_id);
  }
  const session_id = ids[n % sessions]!;
  await ask("switch_session", { session_id });
  await ask("send_turn", { session_id, turn_id: `t${n}`, prompt: `How did the orders of day ${n} go?` });
  const done = n + 1;
  if (done === 200 || done % 1_000 === 0) report(done);
}
socket.close();
await guest.close();

function ask(type: string, payload: Record<string, unknown>): typeof ended.promise {
  ended = Promise.withResolvers();
  socket.send(JSON.stringify({ type, payload: { request_id: "r", ...payload } }));
  return ended.promise;
}

function report(done: number): void {
  for (let i = 0; i < 3; i++) collect(LAST_RESORT);
  const { rss, heapUsed } = Deno.memoryUsage();
  console.log(
    JSON.stringify({
      turns: done,
      rss: rss / 1e6,
      heap: heapUsed / 1e6,
    }),
  );
}

/** Reads one file, then answers; writes a summary when it is asked for one. */
function vendor(_input: unknown, init?: RequestInit): Promise<Response> {
  const body = String(init?.body ?? "");
  const isSummary = body.includes("You write the notes that an assistant keeps");
  const hasResult = body.lastIndexOf('"role":"tool"') > body.lastIndexOf('"role":"user"');
  const call = {
    index: 0,
    id: "call_0",
    type: "function",
    function: { name: "file_read", arguments: '{"path":"/shared/orders.log"}' },
  };
  const text = isSummary
    ? "The person keeps an eye on the orders of each day. ".repeat(20)
    : "4711 rows were read, 12 refused. ".repeat(8);
  const delta = isSummary || hasResult ? { content: text } : { tool_calls: [call] };
  const finish_reason = isSummary || hasResult ? "stop" : "tool_calls";
  const chunks = [
    { choices: [{ index: 0, delta: { role: "assistant", ...delta } }] },
    { choices: [{ index: 0, delta: {}, finish_reason }] },
    { choices: [], usage: { prompt_tokens: 1_000, completion_tokens: 60, total_tokens: 1_060 } },
  ].map((chunk) =>
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "gpt-5", ...chunk })}\n\n`
  );
  return Promise.resolve(
    new Response(`${chunks.join("")}data: [DONE]\n\n`, { headers: { "content-type": "text/event-stream" } }),
  );
}
