import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Connection, ServerFrame } from "#/cli/connection.ts";
import type { LinkState } from "#/cli/tui_state.ts";

/** What a link needs. */
export interface LinkDeps {
  /** Finds the gateway anew and says hello. Throws AppError `gateway_unreachable`, `gateway_refused`. */
  readonly connect: () => Promise<Connection>;
  /** Resolves after `ms`, or when the signal fires. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly now: () => number;
  readonly onLink: (link: LinkState) => void;
  readonly onFrame: (frame: ServerFrame) => void;
  /** The connection to send on; undefined while there is none. */
  readonly onConnection: (connection: Connection | undefined) => void;
  /** True when no gateway will come back: its runner is gone as well. */
  readonly isOver: () => Promise<boolean>;
  /** Why a later try did not succeed, when the gateway said so. */
  readonly onRefused: (message: string) => void;
}

/**
 * Keeps a connection to the gateway until the signal fires: reads its frames, and when it is gone looks for it again, less and less often.
 * Returns when that is over for good. Throws what the first `connect` throws: who never was connected has nothing to wait for.
 */
export async function runLink(deps: LinkDeps, signal: AbortSignal): Promise<void> {
  let connection: Connection | undefined = await deps.connect();
  let tries = 0;
  let overs = 0;
  let refused = "";
  while (!signal.aborted) {
    if (connection !== undefined) {
      const openedAt = deps.now();
      await readFrames(connection, deps, signal);
      // One that greets and ends at once is not asked four times a second.
      if (deps.now() - openedAt >= LIMITS.reconnectLongestMs) tries = 0;
      connection = undefined;
      if (signal.aborted) return;
    }
    const wait = toBackoffMs(tries++, deps.random());
    deps.onLink({ kind: "off", tries, nextAt: deps.now() + wait });
    await deps.delay(wait, signal);
    if (signal.aborted) return;
    deps.onLink({ kind: "off", tries, nextAt: deps.now() });
    try {
      connection = await deps.connect();
      refused = "";
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === "gateway_unreachable") {
        // A runner that starts anew is away for a moment, too.
        overs = await deps.isOver() ? overs + 1 : 0;
        if (overs >= LIMITS.reconnectOverTriesMax) return;
        continue;
      }
      if (error.code !== "gateway_refused") throw error;
      if (error.message !== refused) deps.onRefused(error.message);
      refused = error.message;
    }
  }
}

async function readFrames(connection: Connection, deps: LinkDeps, signal: AbortSignal): Promise<void> {
  const { sessionId: session, info } = connection;
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  deps.onConnection(connection);
  deps.onLink({ kind: "on", session, model: `${info.provider}/${info.model}`, reason: info.reason ?? "" });
  for (;;) {
    const frame = await connection.next();
    if (frame === undefined) break;
    deps.onFrame(frame);
  }
  signal.removeEventListener("abort", close);
  deps.onConnection(undefined);
}

/** How long to wait before try number `tries`, from 0; `random` from 0 to below 1 takes up to half of it away, so that many clients do not come at once. Pure. */
export function toBackoffMs(tries: number, random: number): number {
  const whole = Math.min(LIMITS.reconnectLongestMs, LIMITS.reconnectFirstMs * 2 ** Math.min(tries, 20));
  return Math.round(whole * (1 - random / 2));
}
