import { join } from "#/lib/path.ts";
import type { Program } from "#/runner/process_plan.ts";
import type { UserFolders } from "#/config/user.ts";
import { type Broker, openBroker, type ToolPackage } from "#/sandbox/broker.ts";
import { type ChildPlan, planChild } from "#/sandbox/child_plan.ts";
import { type Children, openChildren } from "#/sandbox/children.ts";
import { openComponent } from "#/sandbox/component.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openFiles } from "#/sandbox/files.ts";
import { openKept } from "#/sandbox/kept.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import { runSelfTest } from "#/sandbox/self_test.ts";
import { type ToolSettings, toTools } from "#/tools/registry.ts";

/** What runs tools: the broker, the files it opens and the children it starts. */
export interface ToolHost {
  readonly broker: Broker;
  /**
   * Starts a child of the file tools, so that the first call of a turn finds one while the model still thinks. Those of the other
   * packages start on demand: most turns do not need them, and each costs 50 ms and 60 MB.
   */
  warm(): Promise<void>;
  /** Process ids of the tool children that live. */
  readonly childPids: readonly number[];
  close(): Promise<void>;
}

/** Nearly every turn that uses a tool uses one of these. */
const WARM_PACKAGE = "files";

/** What a tool host is opened with. */
export interface ToolHostInput {
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly folders: UserFolders;
  /** Integer ms UTC. */
  readonly now: () => number;
  /** What the person set about tools; defaults when absent. */
  readonly settings?: ToolSettings;
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
  const children: Children[] = [];
  try {
    const packages = new Map<string, ToolPackage & { readonly children: Children }>();
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
      tools: toTools(input.settings),
      packages,
      policy: await openPolicy([DEFAULT_POLICY]),
      files,
      now: input.now,
      hidden: [{ host: folders.root, virtual: "" }],
    });
    // Leftovers of a crash go while nobody waits for it.
    const swept = files.sweep().catch(() => 0);
    return {
      broker,
      async warm() {
        await packages.get(WARM_PACKAGE)?.children.warm();
      },
      get childPids() {
        return children.flatMap((pool) => [...pool.pids]);
      },
      async close() {
        broker.close();
        await Promise.all(children.map((pool) => pool.close()));
        await swept;
        files[Symbol.dispose]();
      },
    };
  } catch (error) {
    await Promise.all(children.map((pool) => pool.close()));
    files[Symbol.dispose]();
    throw error;
  }
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
