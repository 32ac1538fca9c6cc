import type { ToolIdentity } from "#/core/capability.ts";
import { AppError, attempt, messageOf, toPublicError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { untilAborted } from "#/lib/until_aborted.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import type { ProcessPlan, Program } from "#/runner/process_plan.ts";
import type { Audit } from "#/sandbox/audit.ts";
import { AuditTrail } from "#/sandbox/audit_trail.ts";
import type { Broker } from "#/sandbox/broker.ts";
import type { Egress } from "#/sandbox/egress_client.ts";
import { toAllowedKeys } from "#/sandbox/egress_address.ts";
import { toRefusal } from "#/sandbox/outcome.ts";
import type { ToolChildren } from "#/sandbox/run_call.ts";
import { INSIDE, runProbe, tryEgress, type WallFinding } from "#/sandbox/self_test_process.ts";

/** Tiers whose walls are tried before their first use. */
export type CheckedTier = "guest" | "tool child" | "egress";

/** What a self check stands on. */
export interface SelfCheckOptions {
  readonly program: Program;
  /** Host path of the runner's own folder: a probe must not be able to write there. */
  readonly runDir: string;
  /** Of each tier; the same values that its processes are started with. */
  readonly plans: Readonly<Record<CheckedTier, readonly CheckedPlan[]>>;
  /** The way out itself, which has to refuse addresses inside. */
  readonly egress: Pick<Egress, "request">;
  /** As `toListed` makes it. */
  readonly listed: readonly string[];
  readonly onLog: (line: string) => void;
}

/** A process before it runs. */
export type CheckedPlan = Pick<ProcessPlan, "command" | "args" | "env">;

/** The walls of one runner's processes, each tried once. */
export interface SelfCheck {
  /**
   * Tries a tier when nobody has yet, and resolves when it holds. Throws AppError `self_test_failed` with the reason, then and ever after,
   * also to the callers that come later; the log has it once.
   */
  pass(tier: CheckedTier): Promise<void>;
  /** Ends the tries under way, and resolves when they have ended. */
  close(): Promise<void>;
}

/** Opens the check; nothing is tried yet. */
export function openSelfCheck(options: SelfCheckOptions): SelfCheck {
  const closed = new AbortController();
  const verdicts = new Map<CheckedTier, Promise<void>>();
  return {
    pass(tier) {
      const known = verdicts.get(tier);
      if (known !== undefined) return known;
      const verdict = judge(tier, options, closed.signal);
      verdicts.set(tier, verdict);
      verdict.catch((error) => {
        if (!closed.signal.aborted) options.onLog(`self check: ${messageOf(error)}`);
      });
      return verdict;
    },
    async close() {
      closed.abort();
      await Promise.allSettled(verdicts.values());
    },
  };
}

async function judge(tier: CheckedTier, options: SelfCheckOptions, signal: AbortSignal): Promise<void> {
  const targets = toTargets(options.listed);
  const tries = options.plans[tier].map((plan) => tryWalls(plan, options, targets, signal));
  if (tier === "egress") tries.push(tryEgress(options.egress, targets, signal));
  const failed = (await Promise.all(tries).catch((error) => {
    throw signal.aborted ? new AppError("tool_interrupted", "The runner is stopping") : toRefused(tier, error);
  })).flat().filter(({ held }) => !held);
  if (failed.length === 0) return;
  const what = failed.map(({ tried, detail }) => `${tried} (${detail.slice(0, 120)})`).join(", ");
  const text = `The walls of the ${tier} do not hold here, so its tools are refused: ${what}`;
  throw new AppError("self_test_failed", text);
}

function toRefused(tier: CheckedTier, cause: unknown): AppError {
  const { message } = toPublicError(cause, crypto.randomUUID());
  const text = `The walls of the ${tier} cannot be tried here, so its tools are refused: ${message}`;
  return new AppError("self_test_failed", text, { cause });
}

/** The way out behind its check. */
export function guardEgress(check: SelfCheck, egress: Pick<Egress, "request">): Pick<Egress, "request"> {
  return {
    async request(exchange, signal) {
      await untilAborted(check.pass("egress"), signal);
      return await egress.request(exchange, signal);
    },
  };
}

/** Tool children behind their check. */
export function guardChildren(check: SelfCheck, children: ToolChildren): ToolChildren {
  return {
    async run(call, onHostCall, signal) {
      await untilAborted(check.pass("tool child"), signal);
      return await children.run(call, onHostCall, signal);
    },
  };
}

/** A broker behind the check of its guest: a guest whose walls do not hold is given nothing. Its refusals are in the audit log too. */
export function guardBroker(check: SelfCheck, broker: Broker, audit: Audit, policyDigest: string): Broker {
  return {
    async call(request, signal, onOutput) {
      try {
        await untilAborted(check.pass("guest"), signal);
      } catch (error) {
        const { code, message: text } = toPublicError(error, crypto.randomUUID());
        const tool: ToolIdentity = { name: request.tool, package: "", version: "", sha256: "" };
        return new AuditTrail(audit, policyDigest, request).ended(toRefusal(tool, { kind: "failed", code, text }));
      }
      return await broker.call(request, signal, onOutput);
    },
    answer: (given) => broker.answer(given),
    derived: (session, from) => broker.derived(session, from),
    close: () => broker.close(),
  };
}

/** Tries the walls of one process with its exact flags. `targets` are addresses that it must not reach. Throws AppError `self_test_failed`. */
export async function tryWalls(
  plan: CheckedPlan,
  { program, runDir }: Pick<SelfCheckOptions, "program" | "runDir">,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<readonly WallFinding[]> {
  const write = join(runDir, `self-test-${crypto.randomUUID()}`);
  try {
    return await runProbe(withProbe(plan, program), { net: targets, write }, signal);
  } finally {
    remove(write);
  }
}

/** The plan with the probe in the place of its entry, and nothing of what follows that. Throws RangeError for a plan that starts none of our files. */
export function withProbe({ command, args, env }: CheckedPlan, { srcUrl }: Pick<Program, "srcUrl">): CheckedPlan {
  const entry = args.findIndex((arg) => arg.startsWith(srcUrl));
  if (entry === -1) throw new RangeError("this plan has no entry in src");
  return { command, args: [...args.slice(0, entry), new URL("sandbox/self_test_probe.ts", srcUrl).href], env };
}

/** What may be inside because a person said so: the allowlist, `host:port` of models, and the proxy of strict mode. */
export function toListed({ allowlist, proxyUrl }: ToolsPlan["egress"], hosts: readonly string[]): string[] {
  return [...allowlist, ...hosts, ...proxyUrl === undefined ? [] : [new URL(proxyUrl).host]];
}

/** The addresses inside that no process may reach, less those that are listed. */
export function toTargets(listed: readonly string[]): string[] {
  return INSIDE.filter((target) => !isListed(target, listed));
}

/** True when one of the entries, each `host` or `host:port`, names this very address, however it is spelled. */
export function isListed(target: string, listed: readonly string[]): boolean {
  const { host } = new URL(`http://${target}`);
  return listed.flatMap(toAllowedKeys).some((key) => new URL(`http://${key}`).host === host);
}

function remove(path: string): void {
  attempt(() => Deno.removeSync(path));
}
