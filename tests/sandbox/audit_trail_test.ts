import assert from "node:assert/strict";
import { join } from "node:path";
import type { AuditKind } from "#/core/audit.ts";
import type { Capability } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { Audit } from "#/sandbox/audit.ts";
import { AuditTrail } from "#/sandbox/audit_trail.ts";
import { openApprovals } from "#/sandbox/approvals.ts";
import { toRefusal } from "#/sandbox/outcome.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { openTempBroker, requestOf, says } from "./temp_broker.ts";
import { openTempFiles } from "./temp_files.ts";

const never = new AbortController().signal;

interface Entry {
  readonly kind: AuditKind;
  readonly [name: string]: unknown;
}

/** A log that a test can read, and break. */
function makeAudit(fails: (kind: AuditKind) => boolean = () => false): Audit & { readonly entries: Entry[] } {
  const entries: Entry[] = [];
  return {
    entries,
    get head() {
      return { seq: entries.length, sha256: "h" };
    },
    append(kind, fields) {
      if (fails(kind)) throw new AppError("audit_failed", "the audit log cannot be written");
      entries.push({ kind, ...fields });
      return this.head;
    },
    close() {},
  };
}

Deno.test("AuditTrail of a call: its decision before it runs, its outcome after, with what it touched", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "a"), "inside");
  const audit = makeAudit();
  const atRun: AuditKind[][] = [];
  const broker = await openTempBroker(temp, async (call, onHostCall, signal) => {
    atRun.push(audit.entries.map(({ kind }) => kind));
    await onHostCall({ fn: "fs-read.read-text", path: "/shared/a" }, signal);
    return await says("four")(call, onHostCall, signal);
  }, { audit });
  const outcome = await broker.call(requestOf({ path: "/shared/a" }, { callId: "c" }), never);
  assert.deepEqual(atRun, [["decision"]]);
  const [decision, end] = audit.entries;
  const place = { user: "default", agent: ["default"], origin: "channel", session: "s", turn: "t", callId: "c" };
  for (const [name, value] of Object.entries(place)) {
    assert.deepEqual([decision?.[name], end?.[name]], [value, value], name);
  }
  assert.deepEqual([decision?.decision, decision?.capabilities], ["granted", ["fs.read /shared/a"]]);
  assert.match(String(decision?.argsSha256), /^[0-9a-f]{64}$/);
  assert.equal(end?.grant, decision?.grant);
  assert.deepEqual([end?.code, end?.readBytes, end?.outputBytes], ["ok", 6, 4]);
  assert.deepEqual(outcome.auditHead, { seq: 2, sha256: "h" });
});

Deno.test("AuditTrail of a call that came to no rule says denied, and by what", async () => {
  using temp = openTempFiles();
  const audit = makeAudit();
  const broker = await openTempBroker(temp, says("never"), { audit });
  await broker.call(requestOf({ path: 5 }), never);
  await broker.call(requestOf({}, { tool: "nope" }), never);
  await broker.call(requestOf({ path: "/shared/a" }, { principal: { user: "x", agent: [], origin: "api" } }), never);
  assert.deepEqual(audit.entries.map(({ kind, decision, source, code }) => [kind, decision ?? code, source]), [
    ["decision", "denied", "tool_args_invalid"],
    ["outcome", "tool_args_invalid", undefined],
    ["decision", "denied", "tool_unknown"],
    ["outcome", "tool_unknown", undefined],
    ["decision", "denied", "tool_denied"],
    ["outcome", "tool_denied", undefined],
  ]);
});

Deno.test("AuditTrail of a call that asks has the question, and after the answer the rest", async () => {
  using temp = openTempFiles();
  const audit = makeAudit();
  const path = join(temp.dir, "run/approvals.json");
  const approvals = openApprovals({ path, now: () => 5_000, record: () => {}, onResolved: () => {} });
  const broker = await openTempBroker(temp, says("ok"), { audit, approvals });
  const request = requestOf({ path: "/vault/a" });
  const { card } = await broker.call(request, never);
  approvals.answer({ id: card!.id, answer: "once" }, "owner");
  await broker.call(request, never);
  approvals.close();
  assert.deepEqual(audit.entries.map(({ kind, decision, state, source }) => [kind, decision ?? state, source]), [
    ["decision", "ask", "default:vault"],
    ["approval", "asked", undefined],
    ["decision", "granted", "default:vault, once by owner"],
    ["outcome", undefined, undefined],
  ]);
});

Deno.test("AuditTrail that cannot be written: without a decision nothing runs, without an outcome the call failed", async () => {
  using temp = openTempFiles();
  let ran = 0;
  const run = () => {
    ran++;
    return Promise.resolve({ ok: true, code: "ok", text: "done", outputBytes: 4, elapsedMs: 1 } as const);
  };
  const before = await openTempBroker(temp, run, { audit: makeAudit((kind) => kind === "decision") });
  assert.equal((await before.call(requestOf({ path: "/shared/a" }), never)).code, "audit_failed");
  assert.equal(ran, 0);
  const after = await openTempBroker(temp, run, { audit: makeAudit((kind) => kind === "outcome") });
  const outcome = await after.call(requestOf({ path: "/shared/a" }), never);
  assert.deepEqual([ran, outcome.kind, outcome.code], [1, "failed", "audit_failed"]);
  assert.match(outcome.text, /check before you do it again/);
});

Deno.test("AuditTrail of a cancelled call ends with it, and a broken log hides no cancel", async () => {
  using temp = openTempFiles();
  const audit = makeAudit();
  const control = new AbortController();
  const broker = await openTempBroker(temp, (_call, _host, signal) => {
    control.abort();
    return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("gone"))));
  }, { audit });
  await assert.rejects(broker.call(requestOf({ path: "/shared/a" }), control.signal), { code: "cancelled" });
  assert.deepEqual(audit.entries.map(({ kind, code }) => [kind, code]), [
    ["decision", undefined],
    ["outcome", "cancelled"],
  ]);
});

Deno.test("AuditTrail throws a programmer error on", async () => {
  const policy = await openPolicy([]);
  const audit = makeAudit(() => {
    throw new TypeError("a bug");
  });
  const trail = new AuditTrail(audit, policy.digest, requestOf({}));
  const tool = { name: "t", package: "p", version: "1", sha256: "0" };
  assert.throws(() => trail.ended(toRefusal(tool, { kind: "failed", code: "tool_failed", text: "" })), TypeError);
  const missing: Capability[] = [];
  const decision = { kind: "denied", missing, policyDigest: "", source: "", reason: "" } as const;
  assert.throws(() => trail.decided(tool, decision, "", undefined), TypeError);
});
