/** The egress process: HTTP exchanges for tools, asked for over stdin and answered over stdout. Its flags are in egress_plan.ts. */
import "#/lib/stderr_console.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { openLink } from "#/lib/link.ts";
import { REAL_NET } from "#/sandbox/egress_connect.ts";
import { runExchange } from "#/sandbox/egress_exchange.ts";
import { EgressCall } from "#/sandbox/egress_frames.ts";

/** Ends with the runner: at the end of stdin, or at the first frame that is not ours. */
async function main(): Promise<number> {
  let running = 0;
  const link = openLink({ input: new ByteReader(Deno.stdin.readable), output: Deno.stdout.writable }, {
    async onRequest(body, signal) {
      const call = EgressCall.safeParse(body);
      if (!call.success) throw new AppError("egress_denied", "The request is malformed, so it was refused");
      if (running >= LIMITS.egressExchangesMax) throw new AppError("queue_full", "Too many requests are under way");
      running++;
      try {
        return await runExchange(call.data, { net: REAL_NET, idleMs: LIMITS.egressIdleMs }, signal);
      } finally {
        running--;
      }
    },
  }, { contentBytesMax: LIMITS.egressDownBytesMax });
  return await link.closed === undefined ? 0 : 1;
}

Deno.exit(await main());
