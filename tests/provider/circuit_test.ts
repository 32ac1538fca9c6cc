import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Circuit } from "#/provider/circuit.ts";
import { type Failed, toFailed } from "#/provider/failure.ts";
import { ManualTime } from "../fake/manual_time.ts";

const GONE = toFailed("provider_unavailable", "gone");

function open(cooldownMs = 60_000): { circuit: Circuit; time: ManualTime } {
  const time = new ManualTime();
  return { circuit: new Circuit({ cooldownMs, now: time.now }), time };
}

Deno.test("Circuit opens at circuitFailuresMax failed attempts in a row, not before", () => {
  const { circuit } = open();
  for (let at = 1; at < LIMITS.circuitFailuresMax; at++) circuit.noteEnd(GONE);
  assert.ok(circuit.isClosed && circuit.isReady);
  assert.equal(circuit.code, undefined);
  circuit.noteEnd("done");
  for (let at = 1; at < LIMITS.circuitFailuresMax; at++) circuit.noteAttempt();
  assert.ok(circuit.isClosed, "a success ends the row");
  circuit.noteEnd(GONE);
  assert.deepEqual([circuit.isClosed, circuit.isReady, circuit.waitMs, circuit.code], [
    false,
    false,
    60_000,
    "provider_unavailable",
  ]);
});

Deno.test("Circuit opens at once for what another attempt would not cure, and for silence", () => {
  const ends: readonly [Failed, boolean][] = [
    [toFailed("provider_auth", "x"), true],
    [toFailed("model_unknown", "x"), true],
    [toFailed("provider_protocol", "x"), true],
    [toFailed("config_invalid", "x"), true],
    [toFailed("provider_rate_limited", "no credit", { retryable: false }), true],
    [toFailed("provider_rate_limited", "x", { retryAfterMs: 1 }), true],
    [toFailed("provider_timeout", "x"), true],
    [toFailed("provider_rate_limited", "x"), false],
    [toFailed("provider_interrupted", "x"), false],
    [toFailed("provider_rejected", "x"), false],
    [toFailed("cancelled", "x"), false],
  ];
  for (const [failed, opens] of ends) {
    const { circuit } = open();
    circuit.noteEnd(failed);
    assert.equal(!circuit.isClosed, opens, `${failed.code} ${failed.message}`);
  }
});

Deno.test("Circuit is half-open after the cooldown: one call tries, and its end decides", () => {
  const { circuit, time } = open();
  circuit.noteEnd(toFailed("provider_auth", "x"));
  time.advance(59_999);
  assert.equal(circuit.isReady, false);
  time.advance(1);
  assert.equal(circuit.isReady, true);
  const leave = circuit.enter();
  const leaveLater = circuit.enter();
  assert.equal(circuit.isReady, false, "others go on to the next");
  leaveLater();
  assert.equal(circuit.isReady, false, "only the call that tries ends the trial");
  circuit.noteEnd(toFailed("cancelled", "x"));
  leave();
  assert.deepEqual([circuit.isReady, circuit.isClosed], [true, false], "a cancel decides nothing");
  circuit.enter();
  circuit.noteEnd(GONE);
  assert.equal(circuit.waitMs, 60_000, "one failure is enough to open it again");
  circuit.noteEnd(toFailed("provider_rejected", "x"));
  assert.equal(circuit.isClosed, true, "a vendor that judges requests is there");
});

Deno.test("Circuit.enter() of a closed one keeps nobody out", () => {
  const { circuit, time } = open();
  const leave = circuit.enter();
  circuit.noteEnd(toFailed("provider_auth", "x"));
  time.advance(60_000);
  assert.equal(circuit.isReady, true);
  leave();
});

Deno.test("Circuit stays open as long as Retry-After says, up to circuitOpenMsMax", () => {
  const waitAfter = (retryAfterMs: number): number => {
    const { circuit } = open();
    circuit.noteEnd(toFailed("provider_rate_limited", "x", { retryAfterMs }));
    return circuit.waitMs;
  };
  assert.equal(waitAfter(1_000), 60_000);
  assert.equal(waitAfter(61_000), 61_000);
  assert.equal(waitAfter(LIMITS.circuitOpenMsMax), LIMITS.circuitOpenMsMax);
  assert.equal(waitAfter(LIMITS.circuitOpenMsMax + 1), LIMITS.circuitOpenMsMax);
});
