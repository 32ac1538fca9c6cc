import assert from "node:assert/strict";
import type { EventType } from "#/core/event.ts";
import { EVENT_PAYLOADS } from "#/memory/event_payload.ts";
import { SAMPLES } from "../contract/event_samples.ts";

const TYPES = Object.keys(SAMPLES) as EventType[];

Deno.test("EVENT_PAYLOADS has every kind and keeps each sample as it is", () => {
  assert.deepEqual(Object.keys(EVENT_PAYLOADS).sort(), [...TYPES].sort());
  for (const type of TYPES) assert.deepEqual(EVENT_PAYLOADS[type].parse(SAMPLES[type].payload), SAMPLES[type].payload);
});

Deno.test("EVENT_PAYLOADS keeps fields that a later change added", () => {
  for (const type of TYPES) {
    const grown = { ...SAMPLES[type].payload, later: { a: 1 } };
    assert.deepEqual(EVENT_PAYLOADS[type].parse(grown), grown);
  }
  const denied = {
    kind: "denied",
    missing: [{ kind: "net.later" }],
    policyDigest: "",
    source: "s",
    reason: "r",
    later: 1,
  };
  const payload = { ...SAMPLES.tool_decision.payload, decision: denied };
  assert.deepEqual(EVENT_PAYLOADS.tool_decision.parse(payload), payload);
});

Deno.test("EVENT_PAYLOADS refuses nonsense and a payload without one of its fields", () => {
  const optional = new Set(["attachments", "requestId", "reasoning", "retries", "args", "card", "auditHead"]);
  for (const type of TYPES) {
    for (const nonsense of [null, undefined, 1, "x", [], true, {}, { text: null }]) {
      assert.equal(EVENT_PAYLOADS[type].safeParse(nonsense).success, false, `${type} ${JSON.stringify(nonsense)}`);
    }
    for (const field of Object.keys(SAMPLES[type].payload)) {
      const { [field]: _, ...rest } = SAMPLES[type].payload as unknown as Record<string, unknown>;
      assert.equal(EVENT_PAYLOADS[type].safeParse(rest).success, optional.has(field), `${type} without ${field}`);
      if (optional.has(field)) continue;
      assert.equal(EVENT_PAYLOADS[type].safeParse({ ...rest, [field]: Symbol() }).success, false, `${type}.${field}`);
    }
  }
});
