/** A model vendor that fails: each fault ends in its stated event and exit code, says nothing secret, and leaves the session usable. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { SessionEvent } from "#/core/event.ts";
import { answer, noAnswer, type Reply, reply, text, toolCall, vendorError } from "../fake/openai_reply.ts";
import { SCRIPTS, toolResults } from "../fake/openai_scripts.ts";
import { type ChatBody, type FakeOpenAi, type Script, startFakeOpenAi } from "../fake/openai_server.ts";
import { eventsOf, readEvents, shownText, storedOf } from "../fixture/events.ts";
import { connectRaw, type LiveGateway, makeMachine, runOxydra, startGateway, vendorEnv } from "../fixture/system.ts";

const KEY = "sk-test-0123456789abcdef";

/** One way to fail. `n` counts the requests of this fault from 0. */
interface Fault {
  readonly name: string;
  answer(body: ChatBody, n: number): Reply;
  readonly exit: number;
  /** Code of `turn_failed`; absent when the turn is done all the same. */
  readonly code?: string;
  readonly attempts?: number;
  /** Code of the one tool result. */
  readonly tool?: string;
  check?(events: readonly SessionEvent[]): void;
}

/** The named script of the fake vendor, for one fault. */
function script(name: string): Fault["answer"] {
  return (body, n) => SCRIPTS[name]!(body, n, undefined as never) as Reply;
}

const FAULTS: readonly Fault[] = [
  { name: "401", answer: () => vendorError(401, `Incorrect API key provided: ${KEY}`), exit: 3, code: "provider_auth" },
  { name: "403", answer: () => vendorError(403, `Key ${KEY} may not`), exit: 3, code: "provider_auth" },
  { name: "404 of the model", answer: () => vendorError(404, "no such model"), exit: 3, code: "model_unknown" },
  { name: "404 of the address", answer: () => answer(404, "not here"), exit: 3, code: "provider_rejected" },
  {
    name: "429, then 200",
    answer: (_body, n) => n === 0 ? vendorError(429, `slow down, ${KEY}`) : reply([text("Second try.")]),
    exit: 0,
    attempts: 2,
    check(events) {
      assert.equal(shownText(events), "Second try.");
      const [retry] = eventsOf(events, "model_result")[0]!.payload.retries!;
      assert.equal(retry!.code, "provider_rate_limited");
      assert.ok(events.some((event) => event.type === "progress" && event.payload.progress.kind === "provider_retry"));
    },
  },
  {
    name: "429 with Retry-After",
    answer: (_body, n) => n === 0 ? vendorError(429, "wait", { "retry-after": "0.2" }) : reply([text("In time.")]),
    exit: 0,
    attempts: 2,
    check: (events) => assert.equal(eventsOf(events, "model_result")[0]!.payload.retries![0]!.waitMs, 200),
  },
  {
    name: "429 for an hour",
    answer: () => vendorError(429, "come back tomorrow", { "retry-after": "3600" }),
    exit: 3,
    code: "provider_rate_limited",
    attempts: 1,
    check: (events) => assert.match(eventsOf(events, "turn_failed")[0]!.payload.message, /3600 s/),
  },
  {
    name: "500 for ever",
    answer: () => vendorError(500, `crashed with ${KEY}`),
    exit: 3,
    code: "provider_unavailable",
    attempts: 3,
    check: (events) => assert.match(eventsOf(events, "turn_failed")[0]!.payload.message, /3 attempts/),
  },
  { name: "5 MB of error", answer: script("huge_error"), exit: 3, code: "provider_unavailable", attempts: 3 },
  { name: "garbage", answer: script("garbage"), exit: 3, code: "provider_protocol", attempts: 1 },
  { name: "a page", answer: script("html"), exit: 3, code: "provider_protocol", attempts: 1 },
  { name: "an empty body", answer: () => answer(200, ""), exit: 3, code: "provider_protocol", attempts: 1 },
  {
    name: "half a stream",
    answer: script("half"),
    exit: 3,
    code: "provider_interrupted",
    attempts: 1,
    check(events) {
      const [result] = eventsOf(events, "model_result");
      assert.equal(result!.payload.text, "This will never be finis", "what was shown is recorded");
      assert.equal(result!.payload.finishReason, "failed");
    },
  },
  {
    name: "a reset",
    answer: () => noAnswer("reset"),
    exit: 3,
    code: "provider_unavailable",
    // Deno's fetch sends once more by itself when a kept connection dies, so the vendor may count four.
    check: (events) => assert.match(eventsOf(events, "turn_failed")[0]!.payload.message, /3 attempts/),
  },
  { name: "a redirect", answer: redirect, exit: 3, code: "provider_protocol", attempts: 1 },
  { name: "broken arguments", answer: script("broken_args"), exit: 0, attempts: 2, tool: "tool_args_invalid" },
  { name: "an unknown tool", answer: script("unknown_tool"), exit: 0, attempts: 2, tool: "tool_unknown" },
  { name: "10 MB of arguments", answer: script("huge_args"), exit: 0, attempts: 2, tool: "tool_args_too_large" },
  {
    name: "a wrong field",
    answer: calls(toolCall("file_read", { path: "/shared/a.txt", lines: "all" })),
    exit: 0,
    attempts: 2,
    tool: "tool_args_invalid",
    check: (events) => assert.match(eventsOf(events, "tool_result")[0]!.payload.text, /lines/),
  },
  {
    name: "a denied tool",
    answer: calls(toolCall("file_read", { path: "/vault/key" })),
    exit: 5,
    attempts: 2,
    tool: "tool_denied",
    check: (events) => assert.equal(eventsOf(events, "turn_done")[0]!.payload.denied, 1),
  },
  {
    name: "the same call for ever",
    answer: (_body, n) => reply([toolCall("file_list", { path: "/shared" }, { id: `call_${n}` })]),
    exit: 1,
    code: "turn_stuck",
  },
];

function redirect(): Reply {
  return answer(307, "", { headers: { location: "http://127.0.0.1:9/v1/chat/completions" } });
}

function calls(call: Parameters<typeof reply>[0][number]): Fault["answer"] {
  return (body) => toolResults(body).length > 0 ? reply([text("Sorry.")]) : reply([call]);
}

/** The prompt is the fault's name. */
function faultOf(body: ChatBody, faults: readonly Fault[]): Fault | undefined {
  const prompt = body.messages.findLast((message) => message.role === "user")?.content;
  return faults.find(({ name }) => name === prompt);
}

interface House {
  readonly gateway: LiveGateway;
  readonly vendor: FakeOpenAi;
  readonly cwd: string;
  readonly env: Record<string, string>;
  requestsOf(fault: Fault): number;
}

/** A gateway on a vendor with these faults; any other prompt is answered with `Hello.` */
async function withHouse(
  faults: readonly Fault[],
  env: Readonly<Record<string, string>>,
  body: (house: House) => Promise<void>,
): Promise<void> {
  const counts = new Map<Fault, number>();
  const play: Script = (request) => {
    const fault = faultOf(request, faults);
    if (fault === undefined) return reply([text("Hello.")]);
    const n = counts.get(fault) ?? 0;
    counts.set(fault, n + 1);
    return fault.answer(request, n);
  };
  const vendor = await startFakeOpenAi(play);
  const machine = await makeMachine();
  const all = { ...machine.env, ...vendorEnv(vendor.url), ...env };
  const gateway = await startGateway({ cwd: machine.cwd, env: all });
  try {
    await body({ gateway, vendor, cwd: machine.cwd, env: all, requestsOf: (fault) => counts.get(fault) ?? 0 });
  } finally {
    await gateway.stop();
    await vendor.close();
  }
  assert.equal(find(gateway.workspace, KEY), "", "the key is in no file of the workspace");
  assert.ok(!gateway.errors().includes(KEY));
}

/** The first file below a folder that holds a text, or "". */
function find(folder: string, needle: string): string {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    const found = entry.isDirectory ? find(path, needle) : entry.isFile && holds(path, needle) ? path : "";
    if (found !== "") return found;
  }
  return "";
}

function holds(path: string, needle: string): boolean {
  return new TextDecoder("latin1").decode(Deno.readFileSync(path)).includes(needle);
}

/** Runs one fault as a client of the live gateway, then a message on the same session. */
async function runFault(house: House, fault: Fault, session: string): Promise<void> {
  const { code, out, err } = await runOxydra(["run", "--json", "--session", session, fault.name], house);
  const events = readEvents(out);
  const end = storedOf(events).at(-1)!;
  assert.equal(code, fault.exit, `${JSON.stringify(end)}\n${err}`);
  if (fault.code === undefined) assert.equal(end.type, "turn_done");
  else {
    assert.ok(end.type === "turn_failed", end.type);
    assert.equal(end.payload.code, fault.code);
  }
  if (fault.attempts !== undefined) assert.equal(house.requestsOf(fault), fault.attempts);
  if (fault.tool !== undefined) {
    assert.deepEqual(eventsOf(events, "tool_result").map((event) => event.payload.code), [fault.tool]);
  }
  fault.check?.(events);
  assert.ok(!(out + err).includes(KEY), "the key is in no output");
  await sayHello(house, session);
}

/** The session is usable: the next message is answered, and its window is one that a vendor takes. */
async function sayHello({ gateway, vendor }: House, session: string): Promise<void> {
  const end = await sendRaw(gateway, session, "hi");
  assert.equal(end.type, "turn_completed", JSON.stringify(end));
  assert.equal(end.payload.response.message.content, "Hello.");
  const { messages } = vendor.requests.at(-1)!.body;
  const asked = messages.flatMap((message) => message.tool_calls ?? []).map((call) => call.id);
  const answered = messages.filter((message) => message.role === "tool").map((message) => message.tool_call_id!);
  assert.deepEqual(answered, asked, "every call has its answer, as vendors demand");
}

/** Sends one message as a client of its own and returns the frame that ended the turn. */
// deno-lint-ignore no-explicit-any -- a frame as it came
async function sendRaw(gateway: LiveGateway, session: string, prompt: string): Promise<any> {
  const capabilities = ["named_sessions", "turn_events"];
  const client = await connectRaw(gateway, { session_id: session, capabilities });
  try {
    client.send("send_turn", { request_id: "r", session_id: session, turn_id: crypto.randomUUID(), prompt });
    return await client.next((frame) => ["turn_completed", "error", "turn_cancelled"].includes(frame.type));
  } finally {
    // A client that stays holds the gateway up.
    client.close();
  }
}

Deno.test("each fault of a vendor ends in its event and exit code, and the session goes on", async (t) => {
  await withHouse(FAULTS, {}, async (house) => {
    for (const [at, fault] of FAULTS.entries()) {
      await t.step(fault.name, () => runFault(house, fault, `fault-${at}`));
    }
  });
});

const SPENT: readonly Fault[] = [
  {
    name: "a stall",
    answer: script("stall"),
    exit: 3,
    code: "provider_timeout",
    attempts: 1,
    check: (events) => assert.equal(eventsOf(events, "model_result")[0]!.payload.text, "And then "),
  },
  { name: "silence", answer: () => noAnswer("hang"), exit: 3, code: "provider_timeout" },
  {
    name: "one step too many",
    answer: (_body, n) => reply([toolCall("file_list", { path: n % 2 ? "/tmp" : "/shared" }, { id: `call_${n}` })]),
    exit: 4,
    code: "budget_turns",
    attempts: 3,
    check: (events) => assert.deepEqual(eventsOf(events, "budget")[0]!.payload, { kind: "turns", used: 3, limit: 3 }),
  },
];

Deno.test("a stall, silence and a spent budget end the turn by the configured limits", async (t) => {
  const env = { OXYDRA__RUNTIME__TURN_TIMEOUT_SECS: "2", OXYDRA__RUNTIME__MAX_TURNS: "3" };
  await withHouse(SPENT, env, async (house) => {
    for (const [at, fault] of SPENT.entries()) {
      await t.step(fault.name, () => runFault(house, fault, `spent-${at}`));
    }
  });
});

Deno.test("eight faults at once in one gateway do not touch each other", async () => {
  const faults = FAULTS.filter(({ name }) =>
    ["500 for ever", "a reset", "half a stream", "an unknown tool"].includes(name)
  );
  await withHouse(faults, {}, async (house) => {
    const all = [...faults, ...faults];
    const ends = await Promise.all(all.map(({ name }, at) => sendRaw(house.gateway, `at-once-${at}`, name)));
    assert.deepEqual(ends.map((end) => end.payload.code), all.map((fault) => fault.code));
    await sayHello(house, "at-once-0");
  });
});
