import { z } from "zod";
import { parseJson } from "#/lib/parse_json.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { askProcess } from "#/sandbox/ask_process.ts";
import type { ChildPlan } from "#/sandbox/child_plan.ts";
import type { Egress } from "#/sandbox/egress_client.ts";

/** Addresses inside, each in a spelling that once led past a check somewhere; nothing of ours listens at them. */
export const INSIDE: readonly string[] = ["127.0.0.1:1", "2130706433:1", "[::1]:1", "169.254.169.254:80"];

/** What a probe tries besides the addresses. */
const TRIES = 9;

/** What a probe is asked. */
export interface ProbeRequest {
  /** `host:port` that the process must not reach. */
  readonly net: readonly string[];
  /** Host path of a file that the process must not be able to make. */
  readonly write: string;
}

/** One try of one process. */
export interface WallFinding {
  /** E.g. `read a file`. */
  readonly tried: string;
  /** True when the wall held. */
  readonly held: boolean;
  /** What came of it. */
  readonly detail: string;
}

const Found = z.record(z.string().max(200), z.string().max(1_000));

/**
 * Runs src/sandbox/self_test_probe.ts as `plan` says and judges what came of its tries. `plan` is another process's with that entry. Throws
 * AppError `self_test_failed` when it cannot be tried: no process, no answer in `timeoutMs`, or one that is not a probe's.
 */
export async function runProbe(
  plan: ChildPlan,
  request: ProbeRequest,
  signal: AbortSignal,
  timeoutMs: number = LIMITS.selfCheckMs,
): Promise<readonly WallFinding[]> {
  const asked = { ...plan, args: [...plan.args, JSON.stringify(request)] };
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  // Whoever says more is no probe.
  const said = await askProcess(asked, { bytesMax: LIMITS.selfCheckBytesMax, signal: deadline }).catch((cause) => {
    throw new AppError("self_test_failed", "the probe that was to try its walls cannot be started", { cause });
  });
  const parsed = Found.safeParse(parseJson(new TextDecoder().decode(said)));
  // What was not tried is not known to hold.
  if (!parsed.success || Object.keys(parsed.data).length !== TRIES + request.net.length) {
    throw new AppError("self_test_failed", "the probe that was to try its walls said something else");
  }
  return Object.entries(parsed.data).map(([tried, detail]) => ({ tried, held: isRefusal(detail), detail }));
}

/** Deno reports an import that its flags refuse as a TypeError. */
function isRefusal(detail: string): boolean {
  return detail.startsWith("NotCapable: ") ||
    /^TypeError: .*(Requires import access|--no-remote|--cached-only|remote specifier)/is.test(detail);
}

/**
 * Asks the way out itself for addresses inside: its process, with its flags and its address check, has to refuse each. Resolves always;
 * an answer of any other kind is a wall that did not hold.
 */
export async function tryEgress(
  egress: Pick<Egress, "request">,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<readonly WallFinding[]> {
  return await Promise.all(targets.map(async (target): Promise<WallFinding> => {
    const tried = `fetch http://${target}/`;
    const url = `http://${target}/`;
    const timeoutMs = LIMITS.selfCheckAddressMs;
    try {
      await egress.request({ url, method: "GET", headers: [], body: "", downBytesMax: 0, timeoutMs }, signal);
      return { tried, held: false, detail: "it was answered" };
    } catch (error) {
      const held = error instanceof AppError && error.code === "egress_denied";
      return { tried, held, detail: error instanceof Error ? error.message : "thrown" };
    }
  }));
}
