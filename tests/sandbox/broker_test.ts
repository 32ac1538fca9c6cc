import assert from "node:assert/strict";
import { join } from "node:path";
import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import type { HostCall } from "#/sandbox/host_call.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { ToolPackage } from "#/sandbox/run_call.ts";
import { brief, openTempBroker, type ProbeRun, requestOf, says } from "./temp_broker.ts";
import { openTempFiles } from "./temp_files.ts";

const never = new AbortController().signal;
const GET = { fn: "http.fetch", method: "GET", headers: [], body: "", secrets: [] } as const;

/** A run that makes these host calls and says how each ended. */
function asks(...calls: HostCall[]): ProbeRun {
  return async (_call, onHostCall, signal) => {
    const lines: string[] = [];
    for (const call of calls) {
      const told = (answer: HostAnswer) => new TextDecoder().decode(answer.content) || JSON.stringify(answer.value);
      lines.push(await onHostCall(call, signal).then(told, (error) => error.code));
    }
    const text = lines.join("\n");
    return { ok: true, code: "ok", text, outputBytes: text.length, elapsedMs: 2.4 };
  };
}

Deno.test("openBroker() runs a call with the grant that policy made, and says so", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "a"), "inside");
  const seen: unknown[] = [];
  const broker = await openTempBroker(temp, async (call, onHostCall, signal) => {
    seen.push(call);
    return await asks({ fn: "fs-read.read-text", path: "/shared/a" })(call, onHostCall, signal);
  });
  const outcome = await broker.call(requestOf({ path: "/shared/a" }), never);
  assert.deepEqual(seen, [{ tool: "probe", args: { path: "/shared/a" }, timeoutMs: 1_000, interfaces: ["fs-read"] }]);
  const { decision, auditHead, ...rest } = outcome;
  assert.equal(auditHead?.seq, 3, "opened, decision, outcome");
  assert.deepEqual(rest, {
    kind: "ok",
    tool: { name: "probe", package: "probes", version: "1.0.0", sha256: "ab" },
    text: "inside",
    outputBytes: 6,
    elapsedMs: 2,
  });
  assert.ok(decision?.kind === "granted");
  assert.match(decision.grant.id, /^[0-9a-f-]{36}$/);
  assert.equal(decision.grant.expiresAt, 5_000 + 1_000 + LIMITS.brokerWaitMs);
  assert.deepEqual(decision.grant.capabilities, [{ kind: "fs.read", path: "/shared/a", scope: "file", bytesMax: 100 }]);
});

Deno.test("openBroker() names every wrong field, in text that a model can act on", async () => {
  using temp = openTempFiles();
  const broker = await openTempBroker(temp, says("never"));
  const wrong = await broker.call(requestOf({ path: 1, needs: "x", extra: true }), never);
  assert.deepEqual(brief(wrong).slice(0, 2), ["failed", "tool_args_invalid"]);
  for (const part of ["probe", "- path: ", "- needs: ", '- (arguments): Unrecognized key: "extra"']) {
    assert.ok(wrong.text.includes(part), wrong.text);
  }
  assert.equal(wrong.decision, undefined);
  for (const args of [undefined, null, "x", 1, [], { ["k".repeat(100_000)]: 1 }]) {
    const outcome = await broker.call(requestOf(args), never);
    assert.equal(outcome.code, "tool_args_invalid");
    assert.ok(outcome.text.length < 2_000);
  }
  const many = await broker.call(
    requestOf({ path: "/shared/a", ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [i, i])) }),
    never,
  );
  assert.equal(many.code, "tool_args_invalid");
});

Deno.test("openBroker() bounds arguments by size and by depth", async () => {
  using temp = openTempFiles();
  const broker = await openTempBroker(temp, says("ran"));
  const frame = JSON.stringify({ path: "" }).length;
  const large = "x".repeat(LIMITS.argsBytesMax - frame);
  assert.equal((await broker.call(requestOf({ path: `${large}x` }), never)).code, "tool_args_too_large");
  assert.notEqual((await broker.call(requestOf({ path: large }), never)).code, "tool_args_too_large");
  let deep: unknown = 1;
  for (let i = 0; i < 200_000; i++) deep = [deep];
  const outcome = await broker.call(requestOf({ path: "/shared/a", needs: deep }), never);
  assert.deepEqual([outcome.code, outcome.text], ["tool_args_invalid", "The arguments are nested more than 64 deep"]);
});

Deno.test("openBroker() answers an unknown tool, a missing package, a denial and an impossible need", async () => {
  using temp = openTempFiles();
  const broker = await openTempBroker(temp, says("never"));
  const unknown = await broker.call(requestOf({}, { tool: "shell_exec" }), never);
  assert.deepEqual(brief(unknown), ["failed", "tool_unknown", "There is no tool of that name. There are: probe"]);
  assert.equal(unknown.tool.name, "shell_exec");
  const strict = await openTempBroker(temp, says("never"), { policy: await openPolicy([]) });
  const denied = await strict.call(requestOf({ path: "/shared/a" }), never);
  assert.deepEqual(brief(denied).slice(0, 2), ["denied", "tool_denied"]);
  assert.match(denied.text, /fs\.read \/shared\/a is missing/);
  assert.equal(denied.decision?.kind, "denied");
  const bare = await openTempBroker(temp, says("never"), { packages: new Map() });
  assert.equal((await bare.call(requestOf({ path: "/shared/a" }), never)).code, "component_invalid");
  const throwing = await openTempBroker(temp, () => Promise.reject(new AppError("tool_crashed", "gone")));
  assert.deepEqual(brief(await throwing.call(requestOf({ path: "/shared/a" }), never)), [
    "failed",
    "tool_crashed",
    "gone",
  ]);
  const bug = await openTempBroker(temp, () => Promise.reject(new TypeError("at /srv/x")));
  const hidden = await bug.call(requestOf({ path: "/shared/a" }), never);
  assert.equal(hidden.code, "internal");
  assert.match(hidden.text, /^internal error \([0-9a-f-]+\)$/);
});

Deno.test("openBroker() lets calls wait for the packages: of two with one id one runs, and an error is every call's", async () => {
  using temp = openTempFiles();
  const opened = Promise.withResolvers<Map<string, ToolPackage>>();
  const broker = await openTempBroker(temp, says("never"), { packages: opened.promise });
  const request = requestOf({ path: "/shared/a" });
  const twins = [broker.call(request, never), broker.call(request, never)];
  const children = { run: says("ran") };
  opened.resolve(new Map([["probes", { version: "1.0.0", sha256: "ab", children }]]));
  const codes = (await Promise.all(twins)).map(({ kind, code }) => code ?? kind).sort();
  assert.deepEqual(codes, ["ok", "protocol"]);
  const failed = Promise.reject(new AppError("component_invalid", "files does not match its sha256"));
  failed.catch(() => {});
  const damaged = await openTempBroker(temp, says("never"), { packages: failed });
  assert.deepEqual(brief(await damaged.call(request, never)), [
    "failed",
    "component_invalid",
    "files does not match its sha256",
  ]);
});

Deno.test("openBroker() checks each host call against the grant of that call", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "a"), "x".repeat(60));
  Deno.writeTextFileSync(join(temp.shared, "b"), "other");
  const path = "/shared/a";
  const broker = await openTempBroker(
    temp,
    asks(
      { fn: "fs-read.read-text", path: "/shared/b" },
      { fn: "fs-read.list", path: "/shared", recursive: false },
      { fn: "fs-read.scan", path, glob: "", cursor: "" },
      { fn: "fs-write.write-text", path, text: "x" },
      { fn: "fs-write.remove", path },
      { fn: "fs-read.read-text", path },
      { fn: "fs-read.read-text", path },
    ),
  );
  const { text } = await broker.call(requestOf({ path }), never);
  const refused = Array.from({ length: 5 }, () => "tool_denied");
  assert.deepEqual(text.split("\n"), [...refused, "x".repeat(60), "file_too_large"]);
});

Deno.test("openBroker() counts what is written, and gives a call without needs no interface", async () => {
  using temp = openTempFiles();
  const needs: Capability[] = [{ kind: "fs.write", path: "/tmp/a", mode: "write", bytesMax: 5 }];
  const write = { fn: "fs-write.write-text", path: "/tmp/a", text: "123" } as const;
  const broker = await openTempBroker(temp, asks(write, write));
  const { text } = await broker.call(requestOf({ path: "", needs }), never);
  assert.match(text, /"created":true.*\nfile_too_large$/);
  const bare = await openTempBroker(temp, (call) => says(call.interfaces.join())(call, () => Promise.reject(), never));
  const outcome = await bare.call(requestOf({ path: "", needs: [] }), never);
  assert.deepEqual([outcome.text, outcome.decision?.source], ["", "nothing needed"]);
});

Deno.test("openBroker() answers no host call after the call is over, and one at a time", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "a"), "x");
  let late: () => Promise<unknown> = () => Promise.resolve();
  const call: HostCall = { fn: "fs-read.read-text", path: "/shared/a" };
  const broker = await openTempBroker(temp, async (_call, onHostCall, signal) => {
    late = () => onHostCall(call, signal);
    const both = await Promise.allSettled([onHostCall(call, signal), onHostCall(call, signal)]);
    const text = both.map((one) => one.status === "fulfilled" ? "ok" : one.reason.code).join();
    return { ok: true, code: "ok", text, outputBytes: 0, elapsedMs: 0 };
  });
  assert.equal((await broker.call(requestOf({ path: "/shared/a" }), never)).text, "ok,protocol");
  await assert.rejects(late(), { code: "tool_interrupted" });
});

Deno.test("openBroker() cancels at once, refuses the child from then on, and frees the place when it is gone", async () => {
  using temp = openTempFiles();
  const started = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const host = Promise.withResolvers<string>();
  const broker = await openTempBroker(temp, async (_call, onHostCall, signal) => {
    signal.addEventListener("abort", () => {
      onHostCall({ fn: "fs-read.read-text", path: "/shared/a" }, never).catch((error) => host.resolve(error.code));
    });
    started.resolve();
    await gone.promise;
    throw new AppError("cancelled", "killed");
  });
  const abort = new AbortController();
  const request = requestOf({ path: "/shared/a" });
  const called = broker.call(request, abort.signal);
  await started.promise;
  abort.abort();
  await assert.rejects(called, { code: "cancelled" });
  assert.equal(await host.promise, "tool_interrupted");
  assert.equal((await broker.call(request, never)).code, "protocol");
  gone.resolve();
  await gone.promise;
  await assert.rejects(broker.call(request, abort.signal), { code: "cancelled" });
});

Deno.test("openBroker() ends a call that its pool does not end, and every call when it closes", async () => {
  using temp = openTempFiles();
  const hang: ProbeRun = () => new Promise(() => {});
  const { probe } = await import("./temp_broker.ts");
  const quick = new Map([["probe", { ...probe, timeoutMs: 1 } as never]]);
  const broker = await openTempBroker(temp, hang, { tools: quick, waitMs: 1 });
  const outcome = await broker.call(requestOf({ path: "/shared/a" }), never);
  assert.deepEqual(brief(outcome), ["failed", "tool_timeout", "probe did not end within its time"]);
  assert.equal(outcome.decision?.kind, "granted");
  const closing = await openTempBroker(
    temp,
    (_call, _onHostCall, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new AppError("cancelled", "killed")))),
  );
  const open = closing.call(requestOf({ path: "/shared/a" }), never);
  closing.close();
  assert.equal((await open).code, "tool_interrupted");
  assert.equal((await closing.call(requestOf({ path: "/shared/a" }), never)).text, "The runner is stopping");
});

Deno.test("openBroker() keeps host paths out of every text", async () => {
  using temp = openTempFiles();
  const leak = `at ${temp.shared}/x, ${temp.shared}x, file://${encodeURI(temp.dir)}/run/kept and ${temp.dir}`;
  const hidden = [{ host: temp.dir, virtual: "" }];
  const broker = await openTempBroker(temp, says(leak), { hidden });
  const outcome = await broker.call(requestOf({ path: "/shared/a" }), never);
  assert.equal(outcome.text, "at /shared/x, /sharedx, file:///run/kept and ");
  const failing = await openTempBroker(temp, () => Promise.reject(new AppError("tool_failed", leak)), { hidden });
  assert.ok(!(await failing.call(requestOf({ path: "/shared/a" }), never)).text.includes(temp.dir));
});

Deno.test("openBroker() asks a person where policy asks, and runs the very call that they said yes to", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.dir, "vault/a"), "alpha");
  const path = join(temp.dir, "run/approvals.json");
  const approvals = openApprovals({ path, now: () => 5_000, record: () => {}, onResolved: () => {} });
  const broker = await openTempBroker(temp, asks({ fn: "fs-read.read-text", path: "/vault/a" }), { approvals });
  const request = requestOf({ path: "/vault/a" }, { callId: "c1" });
  const asked = await broker.call(request, never);
  assert.deepEqual([asked.kind, asked.code, asked.card?.lines], ["ask", "approval_needed", ["fs.read /vault/a"]]);
  assert.equal((await broker.call(request, never)).card?.id, asked.card!.id, "the same call is the same card");
  approvals.answer({ id: asked.card!.id, answer: "once" }, "owner");
  // Another call, and this one with other arguments: the yes was for neither.
  for (const other of [requestOf({ path: "/vault/a" }, { callId: "c2" }), { ...request, args: { path: "/vault/b" } }]) {
    assert.equal((await broker.call(other, never)).kind, "ask");
  }
  const granted = await broker.call(request, never);
  assert.deepEqual([granted.kind, granted.text], ["ok", "alpha"]);
  assert.equal(granted.decision?.kind === "granted" && granted.decision.source, "default:vault, once by owner");
  assert.equal((await broker.call(request, never)).kind, "ask", "once is once");
  approvals.answer({ id: (await broker.call(request, never)).card!.id, answer: "no" }, "owner");
  const refused = await broker.call(request, never);
  assert.deepEqual([refused.kind, refused.code], ["denied", "tool_denied"]);
  assert.match(refused.text, /The answer was no/);
  approvals.close();
});

Deno.test("openBroker() asks before the web is read once the session has seen the vault, and judges each redirect", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.dir, "vault/a"), "alpha");
  const path = join(temp.dir, "run/approvals.json");
  const approvals = openApprovals({ path, now: () => 5_000, record: () => {}, onResolved: () => {} });
  const web = (url: string): Capability =>
    toHttpNeed(url, { methods: ["GET"], scope: "exact", bytesUpMax: 0, bytesDownMax: 9, redirectsMax: 1 });
  const judged: string[] = [];
  const broker = await openTempBroker(temp, asks({ ...GET, url: "https://a.com/" }), {
    approvals,
    net: (decide) => ({
      fetch() {
        for (const url of ["https://b.com/", "https://b.com:8080/"]) judged.push(decide(web(url)).kind);
        const value = { status: 200, url: "https://a.com/", headers: [], bytes: 0, truncated: false };
        return Promise.resolve({ value, content: new Uint8Array(0) });
      },
      setting: () => null,
      log: () => {},
    }),
  });
  const get = { path: "", needs: [web("https://a.com/")] };
  assert.equal((await broker.call(requestOf(get), never)).kind, "ok");
  assert.deepEqual(judged, ["granted", "ask"]);
  const vault = requestOf({ path: "/vault/a" });
  approvals.answer({ id: (await broker.call(vault, never)).card!.id, answer: "once" }, "owner");
  await broker.call(vault, never);
  const after = await broker.call(requestOf(get), never);
  assert.equal(after.kind, "ask");
  assert.match(after.text, /could carry it out/);
  assert.equal((await broker.call(requestOf(get, { session: "another" }), never)).kind, "ok");
  approvals.close();
});

Deno.test("openBroker() denies what a setting forbids, with its reason, before policy and before anybody is asked", async () => {
  using temp = openTempFiles();
  let asked: readonly unknown[] = [];
  const rules = (tool: string, args: unknown) => {
    asked = [tool, args];
    return Promise.resolve("tools.shell.deny");
  };
  const broker = await openTempBroker(temp, says("never"), { rules });
  // Policy asks before the vault is read.
  const outcome = await broker.call(requestOf({ path: "/vault/a" }), never);
  assert.deepEqual([outcome.kind, outcome.code, outcome.card], ["denied", "tool_denied", undefined]);
  assert.match(outcome.text, /tools\.shell\.deny/);
  assert.deepEqual(asked, ["probe", { path: "/vault/a" }]);
  const free = await openTempBroker(temp, says("ran"), { rules: () => Promise.resolve(undefined) });
  assert.equal((await free.call(requestOf({ path: "/shared/a" }), never)).kind, "ok");
});
