import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { TurnEvent } from "#/core/event.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ModelEvent, Provider } from "#/core/provider.ts";
import { runTurn } from "#/turn/turn.ts";
import { countingSignal } from "../fake/counting_signal.ts";
import { RecordingSandbox } from "../fake/recording_sandbox.ts";
import { calls, says, type ScriptedCall, scriptedProvider } from "../fake/scripted_provider.ts";
import { assertSoundTurn, lines, run, toDeps, toInput } from "./turn_kit.ts";

const SCRIPT: readonly ScriptedCall[] = [
  [
    { type: "retry", attempt: 1, waitMs: 1, code: "provider_unavailable", message: "503" },
    { type: "text", text: "Let me " },
    { type: "text", text: "look." },
    ...calls(["file_read", { n: 1 }, "r1"], ["file_read", { n: 2 }, "r2"], ["file_write", {}, "w1"], ["nope", {}, "x"]),
  ],
  calls(["file_write", { n: 2 }, "w2"]),
  says("All done"),
];

function toSandbox(): RecordingSandbox {
  return new RecordingSandbox({
    file_read: async ({ callId }) => (await Promise.resolve(), callId),
    file_write: async ({ callId }) => (await Promise.resolve(), callId),
  });
}

Deno.test("runTurn() cancelled behind any event ends once, validly, and starts nothing more", async () => {
  const total = (await run(toInput(), toDeps(scriptedProvider(...SCRIPT), toSandbox()))).length;
  assert.ok(total > 25, `${total} events`);
  for (let at = 0; at < total; at++) {
    const control = new AbortController();
    const sandbox = toSandbox();
    const deps = toDeps(scriptedProvider(...SCRIPT), sandbox);
    const events: TurnEvent[] = [];
    let startsBefore = -1;
    if (at === 0) control.abort("stop it");
    for await (const event of runTurn(toInput(), deps, control.signal)) {
      events.push(event);
      if (events.length === at) {
        startsBefore = sandbox.requests.length;
        control.abort("stop it");
      }
    }
    assertSoundTurn(events);
    const late = events.slice(Math.max(0, at)).map((event) => event.type);
    assert.ok(!late.includes("tool_intent"), `an intent after the cancel at ${at}`);
    assert.ok(at === 0 || !late.includes("model_request"), `a model call after the cancel at ${at}`);
    if (startsBefore >= 0) assert.equal(sandbox.requests.length, startsBefore, `a start after the cancel at ${at}`);
    const end = lines(events).at(-1)!;
    // The answer was complete when the last two events were made: it stands.
    if (at >= total - 1) assert.equal(end, "turn_done All done");
    else assert.equal(end, "turn_cancelled stop it", `cancelled at ${at}`);
    assert.equal(deps.time.pending, 0, "no timer is left");
  }
});

Deno.test("runTurn() left behind any event stops what runs, and starts nothing more", async () => {
  const total = (await run(toInput(), toDeps(scriptedProvider(...SCRIPT), toSandbox()))).length;
  for (let at = 1; at < total; at++) {
    const sandbox = toSandbox();
    const deps = toDeps(scriptedProvider(...SCRIPT), sandbox);
    let seen = 0;
    for await (const _event of runTurn(toInput(), deps, new AbortController().signal)) {
      if (++seen === at) break;
    }
    const starts = sandbox.journal.filter((entry) => entry.startsWith("start")).length;
    const ends = sandbox.journal.filter((entry) => entry.startsWith("end")).length;
    assert.equal(starts, ends, `something runs on after ${at}`);
    assert.equal(deps.time.pending, 0, "no timer is left");
  }
});

Deno.test("runTurn() left while a call takes its time to stop waits for it", async () => {
  let isStopped = false;
  const sandbox = {
    call: (_request: unknown, signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          setTimeout(() => {
            isStopped = true;
            reject(new AppError("cancelled", "cancelled"));
          }, 0);
        });
      }),
  };
  const deps = { ...toDeps(scriptedProvider(calls(["file_read", {}]))), sandbox };
  for await (const event of runTurn(toInput(), deps, new AbortController().signal)) {
    if (event.type === "tool_intent") setTimeout(() => deps.time.advance(LIMITS.heartbeatMs), 0);
    if (event.type === "progress" && event.payload.progress.kind === "tool_heartbeat") break;
  }
  assert.ok(isStopped);
  assert.equal(deps.time.pending, 0);
});

Deno.test("runTurn() leaves no listener and no timer behind, however it ends", async () => {
  const budgets = { ...toInput().budgets, wallMs: 60_000 };
  for (const leaveAt of [1, 4, 8, 1_000]) {
    const { control, listeners } = countingSignal();
    const deps = toDeps(scriptedProvider(...SCRIPT), toSandbox());
    let seen = 0;
    for await (const _ of runTurn(toInput({ budgets }), deps, control.signal)) {
      if (++seen === leaveAt) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual([listeners(), deps.time.pending], [0, 0], `left at ${leaveAt}`);
  }
});

Deno.test("runTurn() cancelled in the middle of a stream keeps the text that was shown", async () => {
  const control = new AbortController();
  const script: ScriptedCall = [{ type: "text", text: "Once upon" }, new Promise<ModelEvent>(() => {})];
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toInput(), toDeps(scriptedProvider(script)), control.signal)) {
    events.push(event);
    if (event.type === "text_delta") setTimeout(() => control.abort(new AppError("cancelled", "Ctrl-C")), 0);
  }
  assert.deepEqual(lines(events).slice(-2), ['model_result cancelled "Once upon" calls 0', "turn_cancelled Ctrl-C"]);
  assertSoundTurn(events);
});

Deno.test("runTurn() does not wait for a provider that ignores the signal", async () => {
  const control = new AbortController();
  const deaf: Provider = {
    name: "deaf",
    async *stream() {
      yield { type: "text", text: "a" };
      await new Promise(() => {});
    },
  };
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toInput(), toDeps(deaf), control.signal)) {
    events.push(event);
    if (event.type === "text_delta") setTimeout(() => control.abort(), 0);
  }
  assert.equal(lines(events).at(-1), "turn_cancelled cancelled");
});

Deno.test("runTurn() records what a call did when it ends in time after a cancel", async () => {
  const control = new AbortController();
  const written = Promise.withResolvers<string>();
  const deps = {
    ...toDeps(scriptedProvider(calls(["file_write", {}, "w"]))),
    sandbox: {
      call: async () => {
        const text = await written.promise;
        const tool = { name: "file_write", package: "files", version: "1", sha256: "0" };
        return { kind: "ok", tool, text, outputBytes: text.length, elapsedMs: 1 } as const;
      },
    },
  };
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toInput(), deps, control.signal)) {
    events.push(event);
    if (event.type !== "tool_intent") continue;
    setTimeout(() => {
      control.abort();
      written.resolve("written 3 bytes");
    }, 0);
  }
  assert.deepEqual(lines(events).slice(-2), ["tool_result w ok written 3 bytes", "turn_cancelled cancelled"]);
});

Deno.test("runTurn() gives a deaf runner killGraceMs after a cancel, and says that the outcome is unknown", async () => {
  const control = new AbortController();
  const deps = {
    ...toDeps(scriptedProvider(calls(["file_write", {}, "w"]))),
    sandbox: { call: () => new Promise<never>(() => {}) },
  };
  const events: TurnEvent[] = [];
  for await (const event of runTurn(toInput(), deps, control.signal)) {
    events.push(event);
    if (event.type !== "tool_intent") continue;
    setTimeout(() => {
      control.abort();
      deps.time.advance(LIMITS.killGraceMs);
    }, 0);
  }
  assert.match(lines(events).at(-2)!, /^tool_result w cancelled Cancelled\. Whether it took effect is unknown/);
  assert.equal(lines(events).at(-1), "turn_cancelled cancelled");
  assertSoundTurn(events);
});

Deno.test("runTurn() keeps a stranger's reason out of the event", async () => {
  const cases: readonly [unknown, string][] = [
    [undefined, "cancelled"],
    [new Error("a stranger"), "cancelled"],
    ["by the person", "by the person"],
    ["x".repeat(500), "x".repeat(200)],
  ];
  for (const [reason, text] of cases) {
    const events = await run(toInput(), toDeps(scriptedProvider(says("x"))), AbortSignal.abort(reason));
    assert.deepEqual(lines(events), [`turn_cancelled ${text}`]);
  }
});

Deno.test("runTurn() takes what a provider or a runner throws as a failure when it is an operating error", async () => {
  const throwing: Provider = {
    name: "throwing",
    // deno-lint-ignore require-yield
    async *stream() {
      throw new AppError("provider_unavailable", "no route");
    },
  };
  const events = await run(toInput(), toDeps(throwing));
  assert.equal(lines(events).at(-1), "turn_failed provider_unavailable no route");
  assertSoundTurn(events);

  const silent: Provider = { name: "silent", async *stream() {} };
  assert.match(lines(await run(toInput(), toDeps(silent))).at(-1)!, /^turn_failed provider_interrupted/);

  const buggy: Provider = {
    name: "buggy",
    // deno-lint-ignore require-yield
    async *stream() {
      throw new TypeError("a bug");
    },
  };
  await assert.rejects(run(toInput(), toDeps(buggy)), TypeError);

  const deps = {
    ...toDeps(scriptedProvider(calls(["file_read", {}, "c"]), says("no tools today"))),
    sandbox: { call: () => Promise.reject(new AppError("guest_failed", "the runner is gone")) },
  };
  const broken = await run(toInput(), deps);
  assert.ok(lines(broken).includes("tool_result c guest_failed the runner is gone"));
  assert.equal(lines(broken).at(-1), "turn_done no tools today");
});
