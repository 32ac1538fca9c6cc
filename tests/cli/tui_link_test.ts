import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Connection, ServerFrame } from "#/cli/connection.ts";
import { runLink, toBackoffMs } from "#/cli/tui_link.ts";

/** A connection that gives these frames and ends. */
function connectionOf(session: string, ...frames: string[]): Connection {
  const left = frames.map((type): ServerFrame => ({ type, payload: {} }));
  return {
    sessionId: session,
    info: { provider: "p", model: "m", reason: "r" },
    send() {},
    next: () => Promise.resolve(left.shift()),
    closed: Promise.resolve(),
    broken: undefined,
    close() {},
  };
}

/** Runs a link whose tries end as told, and stops after the last. */
async function run(
  tries: readonly (Connection | AppError)[],
  isOver = false,
): Promise<{ log: string[]; waits: number[] }> {
  const abort = new AbortController();
  const left = [...tries];
  const log: string[] = [];
  const waits: number[] = [];
  let now = 0;
  await runLink({
    connect() {
      const next = left.shift()!;
      return next instanceof AppError ? Promise.reject(next) : Promise.resolve(next);
    },
    delay(ms) {
      waits.push(ms);
      if (left.length === 0) abort.abort();
      return Promise.resolve();
    },
    random: () => 0,
    now: () => now,
    onLink: (link) =>
      log.push(link.kind === "on" ? `on ${link.session} ${link.model}` : `off ${link.tries} ${link.nextAt}`),
    onFrame(frame) {
      log.push(frame.type);
      if (frame.type === "long") now += LIMITS.reconnectLongestMs;
    },
    onConnection: (connection) => log.push(connection === undefined ? "gone" : "here"),
    isOver: () => Promise.resolve(isOver),
    onRefused: (message) => log.push(`refused ${message}`),
  }, abort.signal);
  return { log, waits };
}

const gone = new AppError("gateway_unreachable", "gone");

Deno.test("runLink() reads frames, and when the gateway is gone looks for it less and less often, from the start again after it was there for long", async () => {
  const { log, waits } = await run([
    connectionOf("a", "x"),
    gone,
    gone,
    connectionOf("a", "z"),
    connectionOf("a", "long"),
  ]);
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 250]);
  assert.deepEqual(log.slice(0, 9), [
    "here",
    "on a p/m",
    "x",
    "gone",
    "off 1 250",
    "off 1 0",
    "off 2 500",
    "off 2 0",
    "off 3 1000",
  ]);
  assert.deepEqual(log.slice(-4), ["on a p/m", "long", "gone", "off 1 15250"]);
});

Deno.test("runLink() says once why it is refused and goes on trying; another error, and the first one, end it", async () => {
  const no = new AppError("gateway_refused", "no");
  const { log } = await run([connectionOf("a"), no, no, gone]);
  assert.equal(log.filter((line) => line === "refused no").length, 1);
  await assert.rejects(run([no]), { code: "gateway_refused" });
  await assert.rejects(run([gone]), { code: "gateway_unreachable" });
  await assert.rejects(run([connectionOf("a"), new AppError("protocol", "?")]), { code: "protocol" });
});

Deno.test("toBackoffMs() doubles up to its limit, and chance takes at most half away", () => {
  assert.deepEqual([0, 1, 2].map((tries) => toBackoffMs(tries, 0)), [1, 2, 4].map((k) => k * LIMITS.reconnectFirstMs));
  assert.equal(toBackoffMs(1_000, 0), LIMITS.reconnectLongestMs);
  for (const tries of [0, 3, 50]) {
    const most = toBackoffMs(tries, 0);
    assert.ok(toBackoffMs(tries, 0.999) >= most / 2 && toBackoffMs(tries, 0.5) === Math.round(most * 0.75));
  }
});

Deno.test("runLink() ends when several tries in a row find no runner either", async () => {
  const many = Array.from({ length: 20 }, () => gone);
  const { waits } = await run([connectionOf("a"), ...many], true);
  assert.equal(waits.length, LIMITS.reconnectOverTriesMax);
});
