import { toPublicError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { OfferedTool } from "#/app/bootstrap.ts";
import { openBrowserHost } from "#/runner/browser_host.ts";
import { forgetSession } from "#/runner/forget_session.ts";
import type { RefusedPackage } from "#/runner/packages.ts";
import { hasPackages } from "#/runner/packages_dir.ts";
import { toShellSecrets } from "#/runner/plan_shell.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { type PlanInput, toBareEntry, toModuleFlags, toParent } from "#/runner/process_plan.ts";
import {
  type CheckedPlan,
  guardBroker,
  guardChildren,
  guardEgress,
  openSelfCheck,
  type SelfCheck,
  type SelfCheckOptions,
  toListed,
} from "#/runner/self_check.ts";
import { openBrowserWalls, openShellHost, type ShellHost } from "#/runner/shell_host.ts";
import type { UserFolders } from "#/config/user.ts";
import type { Tool } from "#/core/tool.ts";
import type { ApprovalCard, ApprovalResolution, Sandbox } from "#/core/capability.ts";
import { type Audit, openAudit } from "#/sandbox/audit.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import type { Browsers } from "#/sandbox/browsers.ts";
import { type Broker, type BrokerOptions, openBroker } from "#/sandbox/broker.ts";
import { rememberCalls } from "#/sandbox/call_memory.ts";
import { traceCall } from "#/sandbox/call_memory_trace.ts";
import { type ChildPlan, type ChildPlanInput, planChild, planInspect } from "#/sandbox/child_plan.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import { type ComponentPackage, openComponent } from "#/sandbox/component.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { type Egress, openEgress } from "#/sandbox/egress_client.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openKept } from "#/sandbox/kept.ts";
import { type FetchAttachment, HOST_PACKAGE } from "#/sandbox/host_run.ts";
import { toScrubber } from "#/sandbox/outcome.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { ToolPackage } from "#/sandbox/run_call.ts";
import { openSecrets, type Secrets } from "#/sandbox/secrets.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { fetchGranted, type WebDeps } from "#/sandbox/web.ts";
import { toTools } from "#/tools/registry.ts";
import { toSchema } from "#/tools/to_schema.ts";

/** What runs tools: the broker, the files it opens and the children it starts. */
export interface ToolHost {
  readonly broker: Broker & Pick<Sandbox, "forget">;
  readonly approvals: Approvals;
  readonly audit: Audit;
  readonly egress: Pick<Egress, "pids" | "plans">;
  /**
   * Starts a child of the file tools, so that the first call of a turn finds one while the model still thinks. Those of the other
   * packages start on demand: most turns do not need them, and each costs 50 ms and 60 MB.
   */
  warm(): Promise<void>;
  /**
   * Tries the walls of what runs from the start on, beside whatever goes on. Calls wait for the verdict; one that fails closes its tier's
   * tools. Those of the way out are tried at its first use.
   */
  tryWalls(): void;
  /** Process ids of the tool children that live. */
  readonly childPids: readonly number[];
  /** Tools of installed packages, as a model is told of them; it knows ours. */
  readonly offered: readonly OfferedTool[];
  /** Installed packages that are not used, with the reason. */
  readonly refused: readonly RefusedPackage[];
  close(): Promise<void>;
}

/** Nearly every turn that uses a tool uses one of these. */
const WARM_PACKAGE = "files";

/** What a tool host is opened with. */
export interface ToolHostInput extends PlanInput {
  /** Of this program, for the audit log. */
  readonly version: string;
  readonly user: string;
  readonly folders: UserFolders;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** Told of each card that was answered. */
  readonly onResolved: (resolution: ApprovalResolution) => void;
  /** What the person set about tools. */
  readonly plan: ToolsPlan;
  /** Settles when the guest listens or has failed. Until then this process does what a start waits for. */
  readonly guestStarted: Promise<unknown>;
  /** Attachments of a turn, from its guest. */
  readonly attachment: FetchAttachment;
  /** Instead of those that the plan wants, for who has walls of their own. Closed with the tools. */
  readonly browsers?: Browsers;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
  /** What the guest was started with. Absent where none is, and then none is tried. */
  readonly guestPlan?: CheckedPlan;
  /** `host:port` that the guest may connect to. */
  readonly hosts?: readonly string[];
}

/**
 * Proves the file walk on this machine, then opens files, policy, audit log and broker. Throws AppError `self_test_failed`,
 * `platform_unsupported`, `audit_failed`; no tool runs then. A damaged package of ours is `component_invalid` at each call.
 */
export async function openTools(input: ToolHostInput): Promise<ToolHost> {
  const { folders, plan } = input;
  runSelfTest(folders.run);
  // Closed from the last to the first: calls end, then what they ran on, and what they did is written down until then.
  await using open = new AsyncDisposableStack();
  const roots = { shared: folders.shared, tmp: folders.tmp, vault: folders.vault };
  const files = open.use(openFiles({ roots, kept: openKept({ dir: join(folders.run, "kept"), now: input.now }) }));
  const policy = await openPolicy([...plan.rules, DEFAULT_POLICY]);
  const opened = { version: input.version, policyDigest: policy.digest };
  const audit = openAudit({ dir: folders.audit, now: input.now, opened });
  open.defer(() => audit.close());
  const secrets = openAllSecrets(plan);
  // What a server says of a request goes to the log too, and some repeat the key that they refuse.
  const scrub = toScrubber([], secrets.values);
  const onLog = (line: string) => input.onLog(scrub(line));
  const egress = openEgress({ plan: planEgressOf(input), ...plan.egress, onException: onLog, onLog });
  open.defer(() => egress.close());
  const check = openSelfCheck(toCheckOptions(input, egress));
  const guarded = guardEgress(check, egress);
  const { tools, components: foreign, ...installed } = await loadInstalled(input);
  const pools = new ToolPools(input, foreign, check);
  open.defer(() => pools.close());
  const approvals = openApprovals({
    path: join(folders.run, "approvals.json"),
    now: input.now,
    record: (resolution, card) => noteAnswer(audit, resolution, card),
    onResolved: input.onResolved,
  });
  open.defer(() => approvals.close());
  const shell = openShell(input, onLog, open);
  const browsers = openBrowser(input, onLog, open);
  const known = new Map([...toTools({ ...plan.settings, hasBrowser: browsers !== undefined }), ...tools]);
  const broker = openBroker({
    user: input.user,
    tools: known,
    packages: pools.packages,
    policy,
    audit,
    files,
    approvals,
    secrets,
    attachment: input.attachment,
    ...shell,
    ...(browsers === undefined ? {} : { browsers }),
    net: toNet(plan, { egress: guarded, secrets, onLog }),
    now: input.now,
    hidden: [{ host: folders.root, virtual: "" }],
  });
  // Leftovers of a crash go while nobody waits for it.
  const swept = files.sweep().catch(() => 0);
  open.defer(async () => void await swept);
  open.defer(() => check.close());
  const calls = rememberCalls({ broker, tools: known, approvals, trace: (call) => traceCall(folders.audit, call) });
  open.defer(() => calls.drain().then(() => calls.close()));
  const forget = (session: string) => forgetSession(session, { calls, approvals, shell: shell.shell, browsers });
  const closing = open.move();
  return {
    broker: { ...guardBroker(check, calls, audit, policy.digest), forget },
    approvals,
    audit,
    egress,
    warm: () => pools.warm(),
    tryWalls: () => (["tool child", "guest"] as const).forEach((tier) => void check.pass(tier).catch(() => {})),
    get childPids() {
      return pools.pids;
    },
    ...installed,
    close: () => closing.disposeAsync(),
  };
}

/** The shell's own environment can be spent by nobody, and shown to nobody. */
function openAllSecrets({ secrets, shell }: ToolsPlan): Secrets {
  const named = openSecrets(secrets);
  return { ...named, values: [...named.values, ...toShellSecrets(shell)] };
}

/** None where the person wants none; whether its walls stand is found with the first command. */
function openShell(
  input: ToolHostInput,
  onLog: (line: string) => void,
  open: AsyncDisposableStack,
): Pick<BrokerOptions, "rules"> & { readonly shell?: ShellHost } {
  const { plan: { shell, egress }, user, folders, program, env } = input;
  if ("off" in shell) return {};
  const options = { plan: planEgressOf(input), ...egress };
  const host = openShellHost({ user, folders, program, env, plan: shell, egress: options, onLog });
  open.defer(() => host.close());
  return { shell: host, rules: host.rules };
}

/** The browsers that the person wants; whether one can run is found with the first page. */
function openBrowser(
  input: ToolHostInput,
  onLog: (line: string) => void,
  open: AsyncDisposableStack,
): Browsers | undefined {
  const browsers = input.browsers ?? openOwnBrowser(input, onLog);
  if (browsers !== undefined) open.defer(() => browsers.close());
  return browsers;
}

function openOwnBrowser(input: ToolHostInput, onLog: (line: string) => void): Browsers | undefined {
  const { plan: { browser, egress }, user, folders, program, env } = input;
  if (browser === undefined) return undefined;
  const options = { plan: planEgressOf(input), ...egress };
  const walls = () => openBrowserWalls({ user, folders, program, env, wanted: browser.wanted, egress: options, onLog });
  return openBrowserHost({ user, folders, program, env, config: browser.config, walls, onLog });
}

/** The installed packages. What reads and checks them is loaded only where there are some (4 ms). */
async function loadInstalled({ folders, env, onLog }: ToolHostInput): Promise<
  Pick<ToolHost, "offered" | "refused"> & { tools: [string, Tool][]; components: ComponentPackage[] }
> {
  if (!hasPackages(folders)) return { tools: [], components: [], offered: [], refused: [] };
  const { openPackages }: typeof import("#/runner/packages.ts") = await import(
    new URL("./packages.ts", import.meta.url).href
  );
  const { packages, refused } = await openPackages(folders, env.HOME);
  for (const { reason } of refused) onLog(`runner: a tool package is not used: ${reason}`);
  const tools = packages.flatMap((one) => one.tools);
  return {
    tools: tools.map((tool) => [tool.name, tool]),
    components: packages.map(({ component }) => component),
    offered: tools.map((tool) => ({ schema: toSchema(tool), effect: tool.effect })),
    refused,
  };
}

/**
 * Our own packages and the installed ones, each with a pool of children that start on demand. Unpacking ours takes 25 ms: calls wait
 * for it, the gateway does not.
 */
class ToolPools {
  /** Rejects with AppError `component_invalid` when a package of ours is damaged. */
  readonly packages: Promise<ReadonlyMap<string, ToolPackage>>;
  readonly #pools = new Map<string, Children>();

  constructor(input: ToolHostInput, installed: readonly ComponentPackage[], check: SelfCheck) {
    this.packages = input.guestStarted.catch(() => {}).then(() => this.#open(input, installed, check));
    this.packages.catch((error) => input.onLog(`runner: no tool can run: ${toPublicError(error, "").message}`));
  }

  async warm(): Promise<void> {
    await this.packages;
    await this.#pools.get(WARM_PACKAGE)?.warm();
  }

  get pids(): readonly number[] {
    return [...this.#pools.values()].flatMap((pool) => [...pool.pids]);
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.packages]);
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }

  async #open(
    input: ToolHostInput,
    installed: readonly ComponentPackage[],
    check: SelfCheck,
  ): Promise<Map<string, ToolPackage>> {
    const { version } = input;
    // What runs in the runner itself has no component: it is the program, so its identity is the program's version.
    const packages = new Map<string, ToolPackage>([[HOST_PACKAGE, { version, sha256: await sha256Hex(version) }]]);
    const own = await Promise.all((await loadArtefacts()).map(openComponent));
    for (const component of [...own, ...installed]) {
      const children = openChildren({ component, plan: planToolChild(input) });
      this.#pools.set(component.package, children);
      const { version, sha256 } = component;
      packages.set(component.package, { version, sha256, children: guardChildren(check, children) });
    }
    return packages;
  }
}

function toNet(
  plan: ToolsPlan,
  { egress, secrets, onLog }: Pick<WebDeps, "egress" | "secrets"> & Pick<ToolHostInput, "onLog">,
): NonNullable<BrokerOptions["net"]> {
  return (decide) => ({
    fetch: (call, bounds, signal) => fetchGranted(call, bounds, { egress, secrets, decide }, signal),
    setting: (key) => plan.values.get(key) ?? null,
    log: (level, message) => onLog(`tool: ${level}: ${message}`),
  });
}

function toCheckOptions(input: ToolHostInput, egress: Egress): SelfCheckOptions {
  const { program, folders, guestPlan, hosts = [], onLog, plan } = input;
  return {
    program,
    runDir: folders.run,
    plans: {
      guest: guestPlan === undefined ? [] : [guestPlan],
      "tool child": [planToolChild(input)],
      egress: egress.plans,
    },
    egress,
    listed: toListed(plan.egress, hosts),
    onLog,
  };
}

function noteAnswer(audit: Audit, { answer, by }: ApprovalResolution, card: ApprovalCard): void {
  const { principal, session, turn, callId, tool, argsSha256, lines: capabilities } = card;
  const state = by === "silence" ? { state: "expired" } as const : { state: "answered", by } as const;
  audit.append("approval", { ...principal, session, turn, callId, tool, argsSha256, capabilities, answer, ...state });
}

/** What decides the flags of the egress processes; `doctor` shows the same. */
export function planEgressOf({ program, env, folders }: PlanInput & Pick<ToolHostInput, "folders">) {
  return {
    ...toParent(program),
    entryUrl: new URL("sandbox/egress.ts", program.srcUrl).href,
    moduleFlags: toModuleFlags(program, join(folders.run, "guest.lock")),
    env,
  };
}

/** The plan of a tool child; `doctor` shows the same value. */
export function planToolChild(input: PlanInput): ChildPlan {
  return planChild(toPlanInput(input, "sandbox/child.ts"));
}

/** The plan of the process that inspects a component. */
export function planInspector(input: PlanInput): ChildPlan {
  return planInspect(toPlanInput(input, "sandbox/component_inspect.ts"));
}

function toPlanInput({ program, env }: PlanInput, entry: string): ChildPlanInput {
  return { ...toParent(program), ...toBareEntry(program, entry), env };
}

/** Every tool package of ours: one line each. Loaded when tools are opened, so that `--help` does not read a megabyte. */
async function loadArtefacts(): Promise<readonly unknown[]> {
  const [files, web] = await Promise.all([
    import("../../tools-wasm/files.json", { with: { type: "json" } }),
    import("../../tools-wasm/web.json", { with: { type: "json" } }),
  ]);
  return [files.default, web.default];
}
