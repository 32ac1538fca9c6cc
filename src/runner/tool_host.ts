import { join } from "#/lib/path.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { type Program, toModuleFlags } from "#/runner/process_plan.ts";
import {
  type CheckedPlan,
  guardBroker,
  guardChildren,
  guardEgress,
  openSelfCheck,
  type SelfCheck,
  type SelfCheckOptions,
} from "#/runner/self_check.ts";
import type { UserFolders } from "#/config/user.ts";
import type { ApprovalCard, ApprovalResolution } from "#/core/capability.ts";
import { type Audit, openAudit } from "#/sandbox/audit.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { type Broker, openBroker } from "#/sandbox/broker.ts";
import { type ChildPlan, planChild } from "#/sandbox/child_plan.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import { openComponent } from "#/sandbox/component.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { type Egress, openEgress } from "#/sandbox/egress_client.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openKept } from "#/sandbox/kept.ts";
import { type FetchAttachment, HOST_PACKAGE } from "#/sandbox/host_run.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { ToolPackage } from "#/sandbox/run_call.ts";
import { openSecrets } from "#/sandbox/secrets.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { fetchGranted } from "#/sandbox/web.ts";
import { toTools } from "#/tools/registry.ts";

/** What runs tools: the broker, the files it opens and the children it starts. */
export interface ToolHost {
  readonly broker: Broker;
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
  close(): Promise<void>;
}

/** Nearly every turn that uses a tool uses one of these. */
const WARM_PACKAGE = "files";

/** What a tool host is opened with. */
export interface ToolHostInput {
  /** Of this program, for the audit log. */
  readonly version: string;
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly folders: UserFolders;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** Told of each card that was answered. */
  readonly onResolved: (resolution: ApprovalResolution) => void;
  /** What the person set about tools. */
  readonly plan: ToolsPlan;
  /** Attachments of a turn, from its guest. */
  readonly attachment: FetchAttachment;
  /** For the runner's log. */
  readonly onLog: (line: string) => void;
  /** What the guest was started with. Absent where none is, and then none is tried. */
  readonly guestPlan?: CheckedPlan;
  /** `host:port` that the guest may connect to. */
  readonly hosts?: readonly string[];
}

/**
 * Proves the file walk on this machine, then opens files, policy, packages and broker. Throws AppError `self_test_failed`,
 * `platform_unsupported`, `component_invalid`; no tool runs then.
 */
export async function openTools(input: ToolHostInput): Promise<ToolHost> {
  const { folders, plan } = input;
  runSelfTest(folders.run);
  // Closed from the last to the first: calls end, then what they ran on, and what they did is written down until then.
  await using open = new AsyncDisposableStack();
  const roots = { shared: folders.shared, tmp: folders.tmp, vault: folders.vault };
  const files = open.use(openFiles({ roots, kept: openKept({ dir: join(folders.run, "kept"), now: input.now }) }));
  const policy = await openPolicy([...plan.rules, DEFAULT_POLICY]);
  const audit = openAudit({
    dir: folders.audit,
    now: input.now,
    opened: { version: input.version, policyDigest: policy.digest },
  });
  open.defer(() => audit.close());
  const secrets = openSecrets(plan.secrets);
  const egress = openEgress({
    plan: planEgressOf(input),
    ...plan.egress,
    onException: input.onLog,
    onLog: input.onLog,
  });
  open.defer(() => egress.close());
  const check = openSelfCheck(toCheckOptions(input, egress));
  const guarded = guardEgress(check, egress);
  const { packages, pools } = await openPackages(input, check);
  open.defer(async () => void await Promise.all([...pools.values()].map((pool) => pool.close())));
  const approvals = openApprovals({
    path: join(folders.run, "approvals.json"),
    now: input.now,
    record: (resolution, card) => noteAnswer(audit, resolution, card),
    onResolved: input.onResolved,
  });
  open.defer(() => approvals.close());
  const broker = openBroker({
    user: input.user,
    tools: toTools(plan.settings),
    packages,
    policy,
    audit,
    files,
    approvals,
    secrets,
    attachment: input.attachment,
    net: (decide) => ({
      fetch: (call, bounds, signal) => fetchGranted(call, bounds, { egress: guarded, secrets, decide }, signal),
      setting: (key) => plan.values.get(key) ?? null,
      log: (level, message) => input.onLog(`tool: ${level}: ${message}`),
    }),
    now: input.now,
    hidden: [{ host: folders.root, virtual: "" }],
  });
  // Leftovers of a crash go while nobody waits for it.
  const swept = files.sweep().catch(() => 0);
  open.defer(async () => void await swept);
  open.defer(() => check.close());
  open.defer(() => broker.close());
  const closing = open.move();
  return {
    broker: guardBroker(check, broker, audit, policy.digest),
    approvals,
    audit,
    egress,
    warm: async () => await pools.get(WARM_PACKAGE)?.warm(),
    tryWalls: () => (["tool child", "guest"] as const).forEach((tier) => void check.pass(tier).catch(() => {})),
    get childPids() {
      return [...pools.values()].flatMap((pool) => [...pool.pids]);
    },
    close: () => closing.disposeAsync(),
  };
}

/** Our own packages, each with a pool of children that start on demand. */
async function openPackages(
  input: ToolHostInput,
  check: SelfCheck,
): Promise<{ packages: Map<string, ToolPackage>; pools: Map<string, Children> }> {
  const { version } = input;
  // What runs in the runner itself has no component: it is the program, so its identity is the program's version.
  const packages = new Map<string, ToolPackage>([[HOST_PACKAGE, { version, sha256: await sha256Hex(version) }]]);
  const pools = new Map<string, Children>();
  for (const artefact of await loadArtefacts()) {
    const component = await openComponent(artefact);
    const children = openChildren({ component, plan: planToolChild(input) });
    pools.set(component.package, children);
    const { version, sha256 } = component;
    packages.set(component.package, { version, sha256, children: guardChildren(check, children) });
  }
  return { packages, pools };
}

function toCheckOptions(input: ToolHostInput, egress: Egress): SelfCheckOptions {
  const { program, folders, guestPlan, hosts = [], onLog, plan: { egress: { allowlist, proxyUrl } } } = input;
  const proxy = proxyUrl === undefined ? [] : [new URL(proxyUrl).host];
  return {
    program,
    runDir: folders.run,
    plans: {
      guest: guestPlan === undefined ? [] : [guestPlan],
      "tool child": [planToolChild(input)],
      egress: egress.plans,
    },
    egress,
    listed: [...allowlist, ...hosts, ...proxy],
    onLog,
  };
}

function noteAnswer(audit: Audit, { answer, by }: ApprovalResolution, card: ApprovalCard): void {
  const { principal, session, turn, callId, tool, argsSha256, lines: capabilities } = card;
  const state = by === "silence" ? { state: "expired" } as const : { state: "answered", by } as const;
  audit.append("approval", { ...principal, session, turn, callId, tool, argsSha256, capabilities, answer, ...state });
}

/** What decides the flags of the egress processes; `doctor` shows the same. */
export function planEgressOf({ program, env, folders }: Pick<ToolHostInput, "program" | "env" | "folders">) {
  return {
    denoPath: program.denoPath,
    entryUrl: new URL("sandbox/egress.ts", program.srcUrl).href,
    moduleFlags: toModuleFlags(program, join(folders.run, "guest.lock")),
    ...(program.setprivPath === null ? {} : { pdeathsig: program.setprivPath }),
    env,
  };
}

/** The plan of a tool child; `doctor` shows the same value. */
export function planToolChild({ program, env }: Pick<ToolHostInput, "program" | "env">): ChildPlan {
  return planChild({
    denoPath: program.denoPath,
    entryUrl: new URL("sandbox/child.ts", program.srcUrl).href,
    source: program.source,
    ...(program.source === "url" ? { host: new URL(program.srcUrl).host } : {}),
    ...(program.setprivPath === null ? {} : { pdeathsig: program.setprivPath }),
    env,
  });
}

/** Every tool package there is: one line each. Loaded when tools are opened, so that `--help` does not read a megabyte. */
async function loadArtefacts(): Promise<readonly unknown[]> {
  const [files, web] = await Promise.all([
    import("../../tools-wasm/files.json", { with: { type: "json" } }),
    import("../../tools-wasm/web.json", { with: { type: "json" } }),
  ]);
  return [files.default, web.default];
}
