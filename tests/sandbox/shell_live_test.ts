import assert from "node:assert/strict";
import type { OutputSoFar } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { LiveOutput, oneAtATime } from "#/sandbox/shell_live.ts";

const encoder = new TextEncoder();

/** What is told within a moment of these chunks, each pushed when the one before was told of or could not be. */
async function tell(chunks: readonly string[], scrub = (text: string) => text): Promise<OutputSoFar[]> {
  const told: OutputSoFar[] = [];
  using live = new LiveOutput((output) => told.push(output), scrub);
  for (const chunk of chunks) {
    live.push(encoder.encode(chunk));
    await new Promise((resolve) => setTimeout(resolve, LIMITS.liveOutputMs * 1.5));
  }
  return told;
}

Deno.test("LiveOutput tells of whole lines, and of a progress bar as it stands; a line that has only begun is nobody's", async () => {
  assert.deepEqual(await tell(["a\nb", "c\nd"]), [{ tail: "a\n", lines: 1 }, { tail: "a\nbc\n", lines: 2 }]);
  assert.deepEqual(await tell(["10 %\r20 %\r3"]), [{ tail: "20 %", lines: 0 }]);
  assert.deepEqual(await tell(["only begun"]), []);
  assert.deepEqual(await tell(["\u001b[31mred\u001b[0m\u0007\n"]), [{ tail: "red\ufffd\n", lines: 1 }]);
});

Deno.test("LiveOutput tells once of what came together, never twice of the same, and of nothing after its end", async () => {
  const told: OutputSoFar[] = [];
  const live = new LiveOutput((output) => told.push(output), (text) => text);
  for (let at = 0; at < 100; at++) live.push(encoder.encode(`${at}\n`));
  assert.deepEqual(told, [], "not at once");
  await new Promise((resolve) => setTimeout(resolve, LIMITS.liveOutputMs * 1.5));
  assert.deepEqual(told.map(({ lines }) => lines), [100]);
  live.push(encoder.encode("a line that has only begun"));
  await new Promise((resolve) => setTimeout(resolve, LIMITS.liveOutputMs * 1.5));
  live.push(encoder.encode(" and ends\n"));
  live[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, LIMITS.liveOutputMs * 1.5));
  assert.equal(told.length, 1);
});

Deno.test("LiveOutput shows no end of a line whose beginning is not kept, and never more than its bound", async () => {
  const long = "x".repeat(LIMITS.shellTailBytesMax * 3);
  assert.deepEqual(await tell([`${long}tail of a secret\n`]), []);
  assert.deepEqual(await tell([`${long}tail of a secret\nnext\n`]), [{ tail: "next\n", lines: 2 }]);
  const [many] = await tell([Array.from({ length: 5_000 }, (_, at) => `line ${at}\n`).join("")]);
  assert.equal(many!.lines, 5_000);
  assert.ok(many!.tail.length <= LIMITS.liveTailCharsMax && many!.tail.endsWith("line 4998\nline 4999\n"));
  assert.match(many!.tail, /^line \d+\n/, "it begins with a whole line");
});

Deno.test("LiveOutput scrubs before it cuts: a secret is not cut in two first", async () => {
  const secret = "s".repeat(LIMITS.liveTailCharsMax);
  const [told] = await tell([`key=${secret} end\nafter\n`], (text) => text.replaceAll(secret, "[REDACTED:k]"));
  assert.deepEqual(told, { tail: "key=[REDACTED:k] end\nafter\n", lines: 2 });
});

Deno.test("oneAtATime() leaves out what comes while the one before is on its way, also behind one that fails", async () => {
  const told: number[] = [];
  let sent = Promise.withResolvers<void>();
  const tellOn = oneAtATime(({ lines }) => {
    told.push(lines);
    return sent.promise;
  });
  for (const lines of [1, 2, 3]) tellOn({ tail: "", lines });
  sent.reject(new Error("gone"));
  await new Promise((resolve) => setTimeout(resolve, 0));
  sent = Promise.withResolvers();
  tellOn({ tail: "", lines: 4 });
  assert.deepEqual(told, [1, 4]);
});
