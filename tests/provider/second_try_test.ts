import { strict as assert } from "node:assert";
import type { ModelEvent } from "#/core/provider.ts";
import { toFailed } from "#/provider/failure.ts";
import { untilRefused, withTimeLeft } from "#/provider/second_try.ts";

const REFUSED = toFailed("provider_rejected", "no");
const DONE: ModelEvent = { type: "done", finishReason: "stop" };

async function run(events: readonly ModelEvent[], isCurable: boolean) {
  const stream = untilRefused(ReadableStream.from(events), () => isCurable);
  const passed: ModelEvent[] = [];
  for (let next = await stream.next();; next = await stream.next()) {
    if (next.done) return { passed, refusal: next.value };
    passed.push(next.value);
  }
}

Deno.test("untilRefused() keeps a first failure that can be cured, and passes on every other event", async () => {
  assert.deepEqual(await run([REFUSED], true), { passed: [], refusal: REFUSED });
  assert.deepEqual(await run([REFUSED], false), { passed: [REFUSED], refusal: undefined });
  const text: ModelEvent = { type: "text", text: "shown" };
  assert.deepEqual(await run([text, REFUSED], true), { passed: [text, REFUSED], refusal: undefined });
  assert.deepEqual(await run([DONE], true), { passed: [DONE], refusal: undefined });
});

Deno.test("withTimeLeft() takes off what has passed, and leaves 1 ms at least", () => {
  const request = { model: "m", messages: [], tools: [], timeoutMs: 10_000 };
  const { timeoutMs } = withTimeLeft(request, performance.now() - 4_000);
  assert.ok(timeoutMs > 5_000 && timeoutMs <= 6_000);
  assert.equal(withTimeLeft(request, performance.now() - 20_000).timeoutMs, 1);
});
