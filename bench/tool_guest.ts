/**
 * A guest with nothing but its link: asks the runner for `count` file_reads, `gapMs` after the last answer each, and reports how long
 * they took. Arguments: path, count, gapMs.
 */
import "#/lib/stderr_console.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { openBrokerClient } from "#/sandbox/broker_client.ts";

const [path, count, gapMs] = [Deno.args[0]!, Number(Deno.args[1]), Number(Deno.args[2])];
const runner = openBrokerClient({ input: new ByteReader(Deno.stdin.readable), output: Deno.stdout.writable });
const times: number[] = [];
for (let at = 0; at < count; at++) {
  if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs));
  const startedAt = performance.now();
  const outcome = await runner.sandbox.call({
    principal: { user: "default", agent: ["default"], origin: "channel" },
    session: "bench",
    turn: "bench",
    callId: `call_${at}`,
    tool: "file_read",
    args: { path },
  }, AbortSignal.timeout(10_000));
  if (outcome.kind !== "ok") throw new Error(outcome.text);
  times.push(performance.now() - startedAt);
}
await runner.notify({ times });
await runner.closed;
