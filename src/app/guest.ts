/**
 * The guest process: gateway, sessions, turn loop, model provider and event log of one user. Its stdin brings the bootstrap, then
 * frames; its stdout takes frames. The end of stdin ends it.
 */
import "#/lib/stderr_console.ts";
import type { ApprovalResolution } from "#/core/capability.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { readLengthJson } from "#/lib/length_json.ts";
import { Bootstrap, type GuestNotice } from "#/app/bootstrap.ts";
import { type Guest, openGuest } from "#/app/compose.ts";
import type { GatewayToken } from "#/gateway/token.ts";
import { openBrokerClient } from "#/sandbox/broker_client.ts";

/** A schema that is used once is not worth compiling (zod's `new Function`: 7 ms). */
const ONCE = { jitless: true };

async function main(): Promise<number> {
  const input = new ByteReader(Deno.stdin.readable);
  const bootstrap = Bootstrap.parse(await readLengthJson(input, LIMITS.bootstrapBytesMax), ONCE);
  const resolved: ApprovalResolution[] = [];
  let issued: readonly GatewayToken[] | undefined;
  let onTokens: (tokens: readonly GatewayToken[]) => void = (tokens) => void (issued = tokens);
  let onResolved: (resolution: ApprovalResolution) => void = (resolution) => void resolved.push(resolution);
  const io = { input, output: Deno.stdout.writable };
  const opened = Promise.withResolvers<Guest>();
  opened.promise.catch(() => {});
  const runner = openBrokerClient(io, {
    onNotice(notice) {
      if (notice.type === "approval") return onResolved(notice.resolution);
      if (notice.type === "tokens") return onTokens(notice.tokens);
      void opened.promise.then((guest) => guest.drain()).then(() => notify({ v: 1, type: "drained" })).catch(ignoreEnd);
    },
    attachment: async (place, signal) => await (await opened.promise).attachment(place, signal),
  });
  const notify = (notice: GuestNotice) => runner.notify(notice);
  let guest: Guest;
  try {
    guest = await openGuest(bootstrap, {
      sandbox: runner.sandbox,
      fetch,
      now: Date.now,
      onListening: (port) => notify({ v: 1, type: "listening", port }),
      onClients: (count) => void notify({ v: 1, type: "clients", count }).catch(ignoreEnd),
      onTurns: (count) => void notify({ v: 1, type: "turns", count }).catch(ignoreEnd),
      onResolved(listener) {
        onResolved = listener;
        resolved.splice(0).forEach(listener);
      },
      onTokens(listener) {
        onTokens = listener;
        if (issued !== undefined) listener(issued);
      },
      onTurn: () => void notify({ v: 1, type: "turn" }).catch(ignoreEnd),
      report: (error, id) => console.error(`guest: ${id}:`, error),
    });
  } catch (error) {
    if (!(error instanceof AppError)) console.error("guest:", error);
    const { code, message } = toPublicError(error, crypto.randomUUID());
    await notify({ v: 1, type: "failed", code, message });
    return 1;
  }
  opened.resolve(guest);
  const broken = await runner.closed;
  if (broken !== undefined) console.error("guest:", broken.message);
  await guest.close();
  return broken === undefined ? 0 : 1;
}

/** The runner is gone; the link says so itself, and the guest ends. */
function ignoreEnd(error: unknown): void {
  if (!(error instanceof AppError)) throw error;
}

Deno.exit(await main());
