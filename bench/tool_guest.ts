/**
 * A guest with nothing but its link: asks the runner for the calls of each lane and reports how long they took. Argument: the lanes as JSON.
 */
import "#/lib/stderr_console.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { openBrokerClient } from "#/sandbox/broker_client.ts";

/** Equal calls: one after another and `gapMs` apart, or all at once. */
export interface Lane {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly count: number;
  readonly gapMs: number;
  readonly atOnce?: boolean;
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]!));

async function main(lanes: readonly Lane[]): Promise<void> {
  const runner = openBrokerClient({ input: new ByteReader(Deno.stdin.readable), output: Deno.stdout.writable });
  const callOnce = async ({ tool, args }: Lane, callId: string): Promise<number> => {
    const startedAt = performance.now();
    const outcome = await runner.sandbox.call({
      principal: { user: "default", agent: ["default"], origin: "channel" },
      session: "bench",
      turn: "bench",
      callId,
      tool,
      args,
    }, AbortSignal.timeout(60_000));
    if (outcome.kind !== "ok") throw new Error(outcome.text);
    return performance.now() - startedAt;
  };
  const runLane = async (lane: Lane, at: number): Promise<number[]> => {
    const ids = Array.from({ length: lane.count }, (_, index) => `call_${at}_${index}`);
    if (lane.atOnce) return await Promise.all(ids.map((id) => callOnce(lane, id)));
    const times: number[] = [];
    for (const id of ids) {
      if (lane.gapMs > 0) await new Promise((resolve) => setTimeout(resolve, lane.gapMs));
      times.push(await callOnce(lane, id));
    }
    return times;
  };
  await runner.notify({ times: await Promise.all(lanes.map(runLane)) });
  await runner.closed;
}
