import { join } from "#/lib/path.ts";
import type { OfferedTool } from "#/app/bootstrap.ts";
import type { openPackages, RefusedPackage } from "#/runner/packages.ts";
import { hasPackages } from "#/runner/packages_dir.ts";
import type { Program } from "#/runner/process_plan.ts";
import type { UserFolders } from "#/config/user.ts";
import type { ApprovalCard, ApprovalResolution } from "#/core/capability.ts";
import { type Audit, openAudit } from "#/sandbox/audit.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { type Broker, openBroker, type ToolPackage } from "#/sandbox/broker.ts";
import { type ChildPlan, type ChildPlanInput, planChild, planInspect } from "#/sandbox/child_plan.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import { type ComponentPackage, openComponent } from "#/sandbox/component.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openKept } from "#/sandbox/kept.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { TOOLS } from "#/tools/registry.ts";
import { toSchema } from "#/tools/to_schema.ts";

/** What runs tools: the broker, the files it opens and the children it starts. */
export interface ToolHost {
  readonly broker: Broker;
  readonly approvals: Approvals;
  readonly audit: Audit;
  /** Starts a child of each package of ours, so that the first call of a turn finds one while the model still thinks. */
  warm(): Promise<void>;
  /** Process ids of the tool children that live. */
  readonly childPids: readonly number[];
  /** Tools of installed packages, as a model is told of them; it knows ours. */
  readonly offered: readonly OfferedTool[];
  /** Installed packages that are not used, with the reason. */
  readonly refused: readonly RefusedPackage[];
  close(): Promise<void>;
}

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
  /** The person's own rules, asked before those that ship. */
  readonly rules?: readonly PolicyRule[];
}

/**
 * Proves the file walk on this machine, then opens files, policy, packages and broker. Throws AppError `self_test_failed`,
 * `platform_unsupported`, `component_invalid`; no tool runs then.
 */
export async function openTools(input: ToolHostInput): Promise<ToolHost> {
  const { folders } = input;
  runSelfTest(folders.run);
  const kept = openKept({ dir: join(folders.run, "kept"), now: input.now });
  const files = openFiles({ roots: { shared: folders.shared, tmp: folders.tmp, vault: folders.vault }, kept });
  const policy = await openPolicy([input.rules ?? [], DEFAULT_POLICY]);
  const opened = { version: input.version, policyDigest: policy.digest };
  const audit = openAudit({ dir: folders.audit, now: input.now, opened });
  const approvals = openApprovals({
    path: join(folders.run, "approvals.json"),
    now: input.now,
    record: (resolution, card) => noteAnswer(audit, resolution, card),
    onResolved: input.onResolved,
  });
  const children: Children[] = [];
  try {
    const packages = new Map<string, ToolPackage>();
    const open = (component: ComponentPackage) => {
      const pool = openChildren({ component, plan: planToolChild(input) });
      children.push(pool);
      packages.set(component.package, { version: component.version, sha256: component.sha256, children: pool });
      return pool;
    };
    const own: Children[] = [];
    for (const artefact of await loadArtefacts()) own.push(open(await openComponent(artefact)));
    const installed = await loadPackages(input);
    for (const { component } of installed.packages) open(component);
    const foreign = installed.packages.flatMap(({ tools }) => tools);
    const broker = openBroker({
      user: input.user,
      tools: new Map([...TOOLS, ...foreign.map((tool) => [tool.name, tool] as const)]),
      packages,
      policy,
      audit,
      files,
      approvals,
      now: input.now,
      hidden: [{ host: folders.root, virtual: "" }],
    });
    // Leftovers of a crash go while nobody waits for it.
    const swept = files.sweep().catch(() => 0);
    return {
      broker,
      approvals,
      audit,
      async warm() {
        await Promise.all(own.map((pool) => pool.warm()));
      },
      offered: foreign.map((tool) => ({ schema: toSchema(tool), effect: tool.effect })),
      refused: installed.refused,
      get childPids() {
        return children.flatMap((pool) => [...pool.pids]);
      },
      async close() {
        broker.close();
        approvals.close();
        audit.close();
        await Promise.all(children.map((pool) => pool.close()));
        await swept;
        files[Symbol.dispose]();
      },
    };
  } catch (error) {
    approvals.close();
    audit.close();
    await Promise.all(children.map((pool) => pool.close()));
    files[Symbol.dispose]();
    throw error;
  }
}

/** The installed packages. What reads and checks them is loaded only where there are some (4 ms). */
async function loadPackages({ folders, env }: ToolHostInput): ReturnType<typeof openPackages> {
  if (!hasPackages(folders)) return { packages: [], refused: [] };
  const { openPackages }: typeof import("#/runner/packages.ts") = await import(
    new URL("./packages.ts", import.meta.url).href
  );
  return await openPackages(folders, env.HOME);
}

function noteAnswer(audit: Audit, { answer, by }: ApprovalResolution, card: ApprovalCard): void {
  const { principal, session, turn, callId, tool, argsSha256, lines: capabilities } = card;
  const state = by === "silence" ? { state: "expired" } as const : { state: "answered", by } as const;
  audit.append("approval", { ...principal, session, turn, callId, tool, argsSha256, capabilities, answer, ...state });
}

/** The plan of a tool child; `doctor` shows the same value. */
export function planToolChild(input: Pick<ToolHostInput, "program" | "env">): ChildPlan {
  return planChild(toPlanInput(input, "sandbox/child.ts"));
}

/** The plan of the process that inspects a component. */
export function planInspector(input: Pick<ToolHostInput, "program" | "env">): ChildPlan {
  return planInspect(toPlanInput(input, "sandbox/component_inspect.ts"));
}

function toPlanInput({ program, env }: Pick<ToolHostInput, "program" | "env">, entry: string): ChildPlanInput {
  return {
    denoPath: program.denoPath,
    entryUrl: new URL(entry, program.srcUrl).href,
    source: program.source,
    ...(program.source === "url" ? { host: new URL(program.srcUrl).host } : {}),
    ...(program.setprivPath === null ? {} : { pdeathsig: program.setprivPath }),
    env,
  };
}

/** Every tool package of ours: one line each. Loaded when tools are opened, so that `--help` does not read a megabyte. */
async function loadArtefacts(): Promise<readonly unknown[]> {
  const files = await import("../../tools-wasm/files.json", { with: { type: "json" } });
  return [files.default];
}
