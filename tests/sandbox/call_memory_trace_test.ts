import assert from "node:assert/strict";
import type { AuditFields } from "#/core/audit.ts";
import { openAudit } from "#/sandbox/audit.ts";
import { traceCall } from "#/sandbox/call_memory_trace.ts";

const TOOL = { name: "file_write", package: "files", version: "1", sha256: "ab" };
const CALL = { session: "s", turn: "t", callId: 'c "1"\n' };

type Decision = AuditFields["decision"]["decision"];

/** A log of its own; entries are written by name. */
async function withLog(
  test: (log: {
    dir: string;
    decide(decision: Decision, callId?: string): void;
    end(grant?: string, callId?: string): void;
  }) => Promise<void>,
  segmentBytesMax = 1_000_000,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const opened = { version: "1", policyDigest: "p" };
  const audit = openAudit({ dir, now: Date.now, opened, segmentBytesMax });
  try {
    await test({
      dir,
      decide: (decision, callId = CALL.callId) =>
        void audit.append("decision", {
          ...CALL,
          callId,
          tool: TOOL,
          argsSha256: "aa",
          decision,
          source: "rule",
          policyDigest: "p",
          capabilities: [],
          ...(decision === "granted" ? { grant: "g" } : {}),
        }),
      end: (grant, callId = CALL.callId) =>
        void audit.append("outcome", {
          ...CALL,
          callId,
          tool: TOOL,
          code: "ok",
          outputBytes: 1,
          elapsedMs: 1,
          ...(grant === undefined ? {} : { grant }),
        }),
    });
  } finally {
    audit.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("traceCall() finds no trace of a call that was never decided, only asked about, or denied", () =>
  withLog(async ({ dir, decide, end }) => {
    decide("granted", "other");
    assert.equal((await traceCall(dir, CALL)).kind, "none");
    decide("ask");
    assert.equal((await traceCall(dir, CALL)).kind, "none");
    decide("denied");
    end();
    assert.equal((await traceCall(dir, CALL)).kind, "none");
  }));

Deno.test("traceCall() finds a grant without an outcome, also behind a denied redirect, and an outcome", () =>
  withLog(async ({ dir, decide, end }) => {
    decide("granted");
    assert.deepEqual(await traceCall(dir, CALL), { kind: "open", tool: TOOL, argsSha256: "aa", code: "ok" });
    decide("denied");
    assert.equal((await traceCall(dir, CALL)).kind, "open");
    end("g");
    for (let n = 0; n < 50; n++) decide("granted", `other ${n}`);
    assert.deepEqual(await traceCall(dir, CALL), { kind: "ended", tool: TOOL, argsSha256: "", code: "ok" });
    for (const other of [{ session: "x" }, { turn: "x" }, { callId: "x" }]) {
      assert.equal((await traceCall(dir, { ...CALL, ...other })).kind, "none");
    }
  }));

Deno.test("traceCall() reads over segments and the borders of its blocks", () =>
  withLog(async ({ dir, decide }) => {
    decide("granted");
    for (let n = 0; n < 4_000; n++) decide("granted", `other ${n}`);
    assert.ok([...Deno.readDirSync(dir)].length > 1);
    assert.equal((await traceCall(dir, CALL)).kind, "open");
    for (const n of [0, 1_999, 2_000, 3_998, 3_999]) {
      assert.equal((await traceCall(dir, { ...CALL, callId: `other ${n}` })).kind, "open", `other ${n}`);
    }
    assert.equal((await traceCall(dir, { ...CALL, callId: "nobody" })).kind, "none");
  }, 1_500_000));

Deno.test("traceCall() does not know what lies further back than it may read, in a dropped segment, or in a forged entry", () =>
  withLog(async ({ dir, decide }) => {
    decide("granted");
    for (let n = 0; n < 20; n++) decide("granted", `other ${n}`);
    const size = Deno.statSync(`${dir}/audit-000001.jsonl`).size;
    assert.equal((await traceCall(dir, CALL, 1_000)).kind, "unknown");
    assert.equal((await traceCall(dir, CALL, size)).kind, "open");
    const path = `${dir}/audit-000001.jsonl`;
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, text.replace('"argsSha256":"aa"', '"argsSha256":"ab"'));
    assert.equal((await traceCall(dir, CALL)).kind, "unknown");
    Deno.writeTextFileSync(path, text);
    Deno.renameSync(path, `${dir}/audit-000002.jsonl`);
    assert.equal((await traceCall(dir, { ...CALL, callId: "nobody" })).kind, "unknown");
  }));
