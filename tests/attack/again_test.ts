/** Threat: a guest that was taken over asks again for what ran, to have it run a second time, or to have another call run in its name. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Tool } from "#/core/tool.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { openAudit } from "#/sandbox/audit.ts";
import { rememberCalls } from "#/sandbox/call_memory.ts";
import { traceCall } from "#/sandbox/call_memory_trace.ts";
import { openTempBroker, probe, requestOf } from "../sandbox/temp_broker.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

async function withTempFiles(test: (temp: ReturnType<typeof openTempFiles>) => Promise<void>): Promise<void> {
  using temp = openTempFiles();
  await test(temp);
}

const never = new AbortController().signal;
const TOOLS = new Map([["probe", { ...probe, effect: "side_effecting" } as Tool]]);

/** A runner's start over what an earlier one left; counts what runs. */
async function start(temp: Parameters<typeof openTempBroker>[0], toApprovals = (approvals: Approvals) => approvals) {
  const ran: unknown[] = [];
  const dir = join(temp.dir, "audit");
  const path = join(temp.dir, "approvals.json");
  const own = openApprovals({ path, now: () => 5_000, record: () => {}, onResolved: () => {} });
  const approvals = toApprovals(own);
  const audit = openAudit({ dir, now: Date.now, opened: { version: "1", policyDigest: "p" } });
  const broker = await openTempBroker(temp, ({ args }) => {
    ran.push(args);
    return Promise.resolve({ ok: true, code: "ok", text: "done", outputBytes: 4, elapsedMs: 1 });
  }, { tools: TOOLS, audit, approvals });
  const calls = rememberCalls({ broker, tools: TOOLS, approvals, trace: (call) => traceCall(dir, call) });
  const close = () => {
    calls.close();
    own.close();
    audit.close();
  };
  return { calls, approvals, ran, close };
}

Deno.test("a call that is asked for again with other arguments is neither run nor answered with what the first one said", () =>
  withTempFiles(async (temp) => {
    const runner = await start(temp);
    const first = requestOf({ path: "/shared/a" }, { callId: "c" });
    assert.equal((await runner.calls.call(first, never)).kind, "ok");
    const other = { ...first, resumed: true, args: { path: "/shared/b" } } as const;
    const outcome = await runner.calls.call(other, never);
    assert.deepEqual([outcome.kind, outcome.code], ["failed", "protocol"]);
    assert.deepEqual(runner.ran, [{ path: "/shared/a" }]);
    runner.close();
    const next = await start(temp);
    assert.equal((await next.calls.call({ ...first, resumed: true }, never)).kind, "ok", "told, not run");
    assert.deepEqual(next.ran, []);
    next.close();
  }));

Deno.test("a yes that was given once is not spent again by a guest that keeps silent about what a crash cut off", () =>
  withTempFiles(async (temp) => {
    const vault = requestOf({ path: "/vault/key" }, { callId: "c" });
    // Killed between the decision in the audit log and the answer's end.
    const killed = (approvals: Approvals): Approvals => ({
      find: (asked) =>
        ({ ...approvals.find(asked), spend: () => assert.fail("killed") }) as ReturnType<Approvals["find"]>,
      answer: (given, from) => approvals.answer(given, from),
      isInherited: (call) => approvals.isInherited(call),
      isPrivate: (session) => approvals.isPrivate(session),
      markPrivate: (session) => approvals.markPrivate(session),
      forget: (session) => approvals.forget(session),
      close: () => approvals.close(),
      get pending() {
        return approvals.pending;
      },
    });
    const first = await start(temp, killed);
    const asked = await first.calls.call(vault, never);
    assert.equal(asked.kind, "ask");
    first.approvals.answer({ id: asked.card!.id, answer: "once" }, "owner");
    assert.equal((await first.calls.call(vault, never)).kind, "failed");
    first.close();
    const second = await start(temp);
    const outcome = await second.calls.call(vault, never);
    assert.match(outcome.text, /took effect is unknown/);
    assert.deepEqual(second.ran, []);
    second.close();
  }));
