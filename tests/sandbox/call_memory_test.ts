import assert from "node:assert/strict";
import type { Outcome, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import type { Broker } from "#/sandbox/broker.ts";
import { type CallMemoryOptions, rememberCalls } from "#/sandbox/call_memory.ts";
import type { CallTrace } from "#/sandbox/call_memory_trace.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Of } from "#/lib/chained_line.ts";
import type { OnOutput } from "#/sandbox/shell_live.ts";
import { brief, probe, requestOf } from "./temp_broker.ts";

const READ = probe as Tool;
const WRITE = { ...READ, name: "write", effect: "side_effecting" } as Tool;
const TOOLS = new Map([["probe", READ], ["write", WRITE]]);
const IDENTITY = { name: "write", package: "p", version: "1", sha256: "ab" };
const never = new AbortController().signal;
const gone = () => new AppError("tool_interrupted", "the guest is gone");

const ok = (text: string, tool = "write"): Outcome => {
  return { kind: "ok", tool: { ...IDENTITY, name: tool }, text, outputBytes: text.length, elapsedMs: 1 };
};

const write = (extra: Partial<ToolRequest> = {}, path = "/shared/a"): ToolRequest =>
  requestOf({ path }, { tool: "write", callId: "c", ...extra });

/** A memory over calls that a test ends by hand. */
function open(options: Partial<CallMemoryOptions> & { readonly found?: CallTrace } = {}) {
  const ran: { request: ToolRequest; signal: AbortSignal; end: PromiseWithResolvers<Outcome>; say: OnOutput }[] = [];
  const traced: string[] = [];
  const broker: Broker = {
    call(request, signal, say = () => {}) {
      const end = Promise.withResolvers<Outcome>();
      signal.addEventListener("abort", () => end.reject(new AppError("cancelled", "cancelled")));
      ran.push({ request, signal, end, say });
      return end.promise;
    },
    answer: () => Promise.resolve(),
    derived: () => Promise.resolve(),
    close: () => ran.forEach(({ end }) => end.reject(gone())),
  };
  const memory = rememberCalls({
    broker,
    tools: TOOLS,
    trace: (call) => {
      traced.push(call.callId);
      return Promise.resolve(options.found ?? { kind: "none" });
    },
    ...options,
  });
  return { memory, ran, traced };
}

Deno.test("rememberCalls(): a call goes on when its guest is gone, and the next one waits for it", async () => {
  const { memory, ran, traced } = open();
  const link = new AbortController();
  const lost = memory.call(write(), link.signal);
  link.abort(gone());
  const again = memory.call(write({ resumed: true }), never);
  ran[0]!.end.resolve(ok("written"));
  assert.deepEqual(brief(await again), ["ok", undefined, "written"]);
  await lost;
  assert.deepEqual([ran.length, ran[0]!.signal.aborted, traced], [1, false, []]);
  assert.deepEqual(brief(await memory.call(write({ resumed: true }), never)), ["ok", undefined, "written"]);
  assert.equal(ran.length, 1);
});

Deno.test("rememberCalls(): the output of a call is shown to whoever asked for it last", async () => {
  const { memory, ran } = open();
  const heard: string[] = [];
  const link = new AbortController();
  const lost = memory.call(write(), link.signal, ({ tail }) => heard.push(`first ${tail}`));
  ran[0]!.say({ tail: "a", lines: 1 });
  link.abort(gone());
  const again = memory.call(write({ resumed: true }), never, ({ tail }) => heard.push(`second ${tail}`));
  await Promise.resolve();
  ran[0]!.say({ tail: "b", lines: 2 });
  ran[0]!.end.resolve(ok("written"));
  await Promise.all([lost, again]);
  assert.deepEqual(heard, ["first a", "second b"]);
});

Deno.test("rememberCalls(): a cancel ends the call, also one that another guest began", async () => {
  const { memory, ran } = open();
  const link = new AbortController();
  const lost = memory.call(write(), link.signal);
  lost.catch(() => {});
  link.abort(gone());
  const person = new AbortController();
  const again = memory.call(write({ resumed: true }), person.signal);
  person.abort();
  await assert.rejects(again, { code: "cancelled" });
  await assert.rejects(lost, { code: "cancelled" });
  assert.equal(ran[0]!.signal.aborted, true);
  await assert.rejects(memory.call(write(), person.signal), { code: "cancelled" }, "not even begun");
  assert.equal(ran.length, 1);
});

Deno.test("forget() ends what runs in a session, also without a guest, and keeps no outcome of it; the log still says that it ran", async () => {
  const { memory, ran, traced } = open({
    found: { kind: "ended", tool: IDENTITY, code: "ok", argsSha256 } as CallTrace,
  });
  const link = new AbortController();
  const [lost, other] = [memory.call(write(), link.signal), memory.call(write({ session: 's"' }), never)];
  link.abort(gone());
  const done = memory.call(write({ callId: "done" }), never);
  ran[2]!.end.resolve(ok("secret words"));
  await done;
  memory.forget("nobody");
  memory.forget("s");
  await assert.rejects(lost, { code: "cancelled" });
  assert.deepEqual(ran.map(({ signal }) => signal.aborted), [true, false, false]);
  ran[1]!.end.resolve(ok("another's"));
  assert.equal((await other).text, "another's");
  assert.equal((await memory.call(write({ session: 's"', resumed: true }), never)).text, "another's", "kept");
  const again = await memory.call(write({ callId: "done", resumed: true }), never);
  assert.match(again.text, /It ran and succeeded .* what it said is lost/);
  assert.deepEqual([traced, ran.length], [["done"], 3]);
});

Deno.test("forget() keeps no outcome of a call either that ends at that very moment", async () => {
  const { memory, ran } = open({ found: { kind: "ended", tool: IDENTITY, code: "ok", argsSha256 } as CallTrace });
  const call = memory.call(write(), never);
  ran[0]!.end.resolve(ok("secret words"));
  memory.forget("s");
  assert.equal((await call).text, "secret words");
  assert.match((await memory.call(write({ resumed: true }), never)).text, /what it said is lost/);
});

Deno.test("rememberCalls() refuses the id of a known call with other arguments, and runs an unmarked one", async () => {
  const { memory, ran } = open();
  const first = memory.call(write(), never);
  const other = await memory.call(write({ resumed: true }, "/shared/b"), never);
  assert.deepEqual([other.kind, other.code], ["failed", "protocol"]);
  ran[0]!.end.resolve(ok("x"));
  await first;
  assert.equal((await memory.call(write({ resumed: true }, "/shared/b"), never)).code, "protocol");
  const unmarked = memory.call(write(), never);
  ran[1]!.end.resolve(ok("again"));
  assert.equal((await unmarked).text, "again");
});

Deno.test("rememberCalls() repeats what only reads, keeps no question, and runs what never began", async () => {
  const { memory, ran, traced } = open();
  for (
    const [tool, outcome, traces] of [["probe", ok("r", "probe"), 0], ["write", { ...ok(""), kind: "ask" }, 1]] as const
  ) {
    const request = write({ tool });
    for (const resumed of [undefined, true] as const) {
      const call = memory.call({ ...request, ...(resumed ? { resumed } : {}) }, never);
      while (ran.length === 0) await Promise.resolve();
      ran.pop()!.end.resolve(outcome);
      assert.equal((await call).kind, outcome.kind);
    }
    assert.equal(traced.splice(0).length, traces, tool);
  }
});

const argsSha256 = sha256Of(canonicalJson({ path: "/shared/a" }));
const UNKNOWN = /outcome|took effect is unknown: check before you do it again/;

for (
  const [name, found, code, text] of [
    ["ended well", { kind: "ended", tool: IDENTITY, argsSha256: "", code: "ok" }, undefined, /ran and succeeded/],
    [
      "failed",
      { kind: "ended", tool: IDENTITY, argsSha256: "", code: "file_exists" },
      "file_exists",
      /failed \(file_exists\)/,
    ],
    [
      "was killed",
      { kind: "ended", tool: IDENTITY, argsSha256: "", code: "tool_timeout" },
      "tool_interrupted",
      UNKNOWN,
    ],
    ["has no outcome", { kind: "open", tool: IDENTITY, argsSha256, code: "ok" }, "tool_interrupted", UNKNOWN],
    [
      "had other arguments",
      { kind: "open", tool: IDENTITY, argsSha256: "cd", code: "ok" },
      "protocol",
      /other arguments/,
    ],
    ["lies too far back", { kind: "unknown" }, "tool_interrupted", UNKNOWN],
  ] as const
) {
  Deno.test(`rememberCalls() tells the model of a call before a restart that ${name}, and does not run it`, async () => {
    const { memory, ran } = open({ found });
    const outcome = await memory.call(write({ resumed: true }), never);
    assert.equal(outcome.code, code);
    assert.match(outcome.text, text);
    assert.equal(ran.length, 0);
  });
}

Deno.test("rememberCalls() looks at the log before an answer of an earlier process is spent, whatever the guest says", async () => {
  const found = { kind: "ended", tool: IDENTITY, argsSha256: "", code: "ok" } as const;
  const { memory, ran } = open({ found, approvals: { isInherited: ({ callId }) => callId === "c" } });
  assert.match((await memory.call(write(), never)).text, /ran and succeeded/);
  assert.equal(ran.length, 0);
});

Deno.test("rememberCalls() keeps so many outcomes, so many bytes of them, and forgets the oldest", async () => {
  const { memory, ran, traced } = open({ rememberedMax: 2, rememberedBytesMax: 20_000 });
  const run = async (callId: string, text = "") => {
    const call = memory.call(write({ callId }), never);
    ran.at(-1)!.end.resolve(ok(text));
    await call;
    await Promise.resolve();
  };
  const forgotten = async (...ids: string[]) => {
    const before = traced.length;
    for (const callId of ids) {
      const call = memory.call(write({ callId, resumed: true }), never);
      await new Promise((resolve) => setTimeout(resolve, 0));
      ran.at(-1)!.end.resolve(ok(""));
      await call;
    }
    return traced.splice(before);
  };
  await run("1");
  await run("2");
  await run("3");
  assert.deepEqual(await forgotten("2", "3"), []);
  await run("large", "x".repeat(7_000));
  assert.deepEqual(await forgotten("large"), []);
  await run("larger", "x".repeat(7_000));
  assert.deepEqual(await forgotten("large"), ["large"]);
  assert.ok(LIMITS.callsRememberedMax >= LIMITS.brokerCallsMax);
});

Deno.test("rememberCalls().drain() waits for calls without a guest, and no longer than drainMs", async () => {
  const { memory, ran } = open({ drainMs: 5 });
  await memory.drain();
  const link = new AbortController();
  const call = memory.call(write(), link.signal);
  link.abort(gone());
  let isDrained = false;
  const draining = memory.drain().then(() => isDrained = true);
  await Promise.resolve();
  assert.equal(isDrained, false);
  ran[0]!.end.resolve(ok("late"));
  await draining;
  await call;
  const hanging = memory.call(write({ callId: "h" }), never);
  await memory.drain();
  memory.close();
  await assert.rejects(hanging, { code: "tool_interrupted" });
  await memory.answer({ id: "a", answer: "no" });
});
