import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { toReport, toResultEvent } from "#/turn/call_result.ts";
import type { CheckedCall } from "#/turn/check_call.ts";
import { denied, failed, ok } from "../fake/recording_sandbox.ts";

const CALL: CheckedCall = {
  kind: "ready",
  call: { id: "c", name: "file_write", arguments: "{}" },
  effect: "side_effecting",
  args: {},
};

Deno.test("toReport() puts every end of a call into words", () => {
  const cases: readonly [Parameters<typeof toReport>[1], string, RegExp][] = [
    [{ kind: "outcome", outcome: ok("t", "fine") }, "ok", /^fine$/],
    [{ kind: "outcome", outcome: denied("t", "no") }, "tool_denied", /^no$/],
    [{ kind: "outcome", outcome: failed("t", "file_not_found", "gone") }, "file_not_found", /^gone$/],
    [{ kind: "not_started" }, "cancelled", /before it started/],
    [{ kind: "lost" }, "cancelled", /unknown/],
    [{ kind: "threw", error: new AppError("cancelled", "x") }, "cancelled", /unknown/],
    [{ kind: "threw", error: new AppError("protocol", "link lost") }, "protocol", /^link lost$/],
  ];
  for (const [end, code, text] of cases) {
    const report = toReport(CALL, end, 5);
    assert.equal(report.code, code);
    assert.match(report.text, text);
  }
  const { code: _code, ...withoutCode } = failed("t", "tool_failed", "x");
  assert.equal(toReport(CALL, { kind: "outcome", outcome: withoutCode }, 1).code, "tool_failed");
  assert.equal(toReport(CALL, { kind: "outcome", outcome: { ...withoutCode, kind: "ask" } }, 1).code, "tool_denied");
});

Deno.test("toReport() throws a programmer error on", () => {
  assert.throws(() => toReport(CALL, { kind: "threw", error: new TypeError("bug") }, 1), TypeError);
});

Deno.test("toResultEvent() carries what the model sees, and a blob when that is not all", async () => {
  const short = await toResultEvent(CALL, { code: "ok", text: "hi", outputBytes: 2, elapsedMs: 4 });
  assert.deepEqual(short, {
    type: "tool_result",
    v: 1,
    payload: {
      callId: "c",
      tool: "file_write",
      ok: true,
      code: "ok",
      text: "hi",
      outputBytes: 2,
      truncated: false,
      elapsedMs: 4,
    },
  });
  const long = await toResultEvent(CALL, {
    code: "tool_failed",
    text: "x".repeat(20_000),
    outputBytes: 0,
    elapsedMs: 4,
  });
  assert.equal(long.blobs!.length, 1);
  assert.equal(long.blobs![0]!.bytes, 20_000);
  assert.ok(!long.payload.ok && long.payload.truncated && long.payload.text.length < 16_384);
});

Deno.test("toResultEvent() takes secrets out of what the model sees and out of the blob, also when the call failed", async () => {
  const secret = "hunter2-hunter2";
  const line = `password: ${secret}\n`;
  const short = await toResultEvent(CALL, { code: "tool_failed", text: line, outputBytes: line.length, elapsedMs: 1 });
  assert.deepEqual([short.payload.text, short.payload.outputBytes], ["password: [REDACTED:password]\n", line.length]);
  for (let shift = 0; shift < line.length; shift++) {
    const text = "x".repeat(shift) + line.repeat(1_000);
    const { payload, blobs } = await toResultEvent(CALL, { code: "ok", text, outputBytes: text.length, elapsedMs: 1 });
    const blob = blobs![0]!;
    for (const kept of [payload.text, new TextDecoder().decode(blob.content)]) assert.ok(!kept.includes("hunter"));
    assert.equal(blob.bytes, blob.content!.length);
    assert.equal(payload.outputBytes, text.length);
    assert.match(
      payload.text,
      new RegExp(`original size: ${text.length > blob.bytes ? text.length : blob.bytes} bytes`),
    );
  }
});
