import { join } from "#/lib/path.ts";
import type { Program } from "#/runner/process_plan.ts";
import type { UserFolders } from "#/config/user.ts";
import type { ApprovalCard, ApprovalResolution } from "#/core/capability.ts";
import { type Audit, openAudit } from "#/sandbox/audit.ts";
import { type Approvals, openApprovals } from "#/sandbox/approvals.ts";
import { type Broker, openBroker, type ToolPackage } from "#/sandbox/broker.ts";
import { type ChildPlan, planChild } from "#/sandbox/child_plan.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import { openComponent } from "#/sandbox/component.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openKept } from "#/sandbox/kept.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { TOOLS } from "#/tools/registry.ts";

/** What runs tools: the broker, the files it opens and the children it starts. */
export interface ToolHost {
  readonly broker: Broker;
  readonly approvals: Approvals;
  readonly audit: Audit;
  /** Starts a child of each package, so that the first call of a turn finds one while the model still thinks. */
  warm(): Promise<void>;
  /** Process ids of the tool children that live. */
  readonly childPids: readonly number[];
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
    for (const artefact of await loadArtefacts()) {
      const component = await openComponent(artefact);
      const pool = openChildren({ component, plan: planToolChild(input) });
      children.push(pool);
      packages.set(component.package, {
        version: component.version,
        sha256: component.sha256,
        children: pool,
      });
    }
    const broker = openBroker({
      user: input.user,
      tools: TOOLS,
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
        await Promise.all(children.map((pool) => pool.warm()));
      },
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

function noteAnswer(audit: Audit, { answer, by }: ApprovalResolution, card: ApprovalCard): void {
  const { principal, session, turn, callId, tool, argsSha256, lines: capabilities } = card;
  const state = by === "silence" ? { state: "expired" } as const : { state: "answered", by } as const;
  audit.append("approval", { ...principal, session, turn, callId, tool, argsSha256, capabilities, answer, ...state });
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
  const files = await import("../../tools-wasm/files.json", { with: { type: "json" } });
  return [files.default];
}
