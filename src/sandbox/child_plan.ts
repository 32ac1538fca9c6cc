import { LIMITS } from "#/core/limits.ts";
import { toFilePath } from "#/lib/path.ts";
import type { SpawnPlan } from "#/lib/spawn_piped.ts";

/** What decides a tool child's flags. */
export interface ChildPlanInput {
  /** Real path of the running Deno. */
  readonly denoPath: string;
  /** `file:` or `http(s):` URL of src/sandbox/child.ts, or of component_inspect.ts. */
  readonly entryUrl: string;
  readonly source: "file" | "url";
  /** `host:port` that our own modules come from; needed for `url`. */
  readonly host?: string;
  /** Path of `setpriv`, where it exists: the child dies with its parent (Linux). */
  readonly pdeathsig?: string;
  /** The runner's environment: only what Deno needs to find its cache is passed on. */
  readonly env: Readonly<Record<string, string>>;
}

/** A tool child before it runs. Its environment is whole: nothing is inherited. */
export type ChildPlan = SpawnPlan;

/**
 * The flags of a tool child: no permission at all, no npm, no lock, and from a file no remote module. The import map of a checkout
 * is in its deno.json (4 of 38 ms of its start, measured); a published tree has relative imports and needs none.
 * Pure. Throws RangeError for `url` without a host.
 */
export function planChild(input: ChildPlanInput): ChildPlan {
  return planBare(input, LIMITS.componentPagesMax);
}

/** The process that inspects a component: the same flags, with more memory for the transpiler. Pure. Throws RangeError for `url` without a host. */
export function planInspect(input: ChildPlanInput): ChildPlan {
  return planBare(input, LIMITS.installPagesMax);
}

function planBare(input: ChildPlanInput, pagesMax: number): ChildPlan {
  const args = [
    "run",
    "-q",
    ...toBareFlags(input),
    `--v8-flags=--max-old-space-size=${LIMITS.childHeapMbMax},--wasm-max-mem-pages=${pagesMax}`,
    input.entryUrl,
  ];
  const env = { ...passEnv(input.env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME"]), NO_COLOR: "1" };
  return { ...underParent(input, args), env };
}

/** The whole environment of a process of ours, made new: of the given one only these names where they are set, and no update check. Pure. */
export function passEnv(env: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  const out: Record<string, string> = { DENO_NO_UPDATE_CHECK: "1" };
  for (const name of names) {
    const value = env[name];
    if (value !== undefined && value !== "") out[name] = value;
  }
  return out;
}

/** Deno with these arguments, behind `setpriv --pdeathsig KILL` where that exists: SIGKILL of the runner takes its children along (Linux). Pure. */
export function underParent(
  { denoPath, pdeathsig }: Pick<ChildPlanInput, "denoPath" | "pdeathsig">,
  args: readonly string[],
): { command: string; args: string[] } {
  if (pdeathsig === undefined) return { command: denoPath, args: [...args] };
  return { command: pdeathsig, args: ["--pdeathsig", "KILL", "--", denoPath, ...args] };
}

/**
 * Flags of a process that has no packages: it prompts for nothing, and its modules are those of the checkout or, from a URL, of our own
 * host. `entryUrl` is a file two folders below deno.json. Pure. Throws RangeError for `url` without a host.
 */
export function toBareFlags(input: Pick<ChildPlanInput, "entryUrl" | "source" | "host">): string[] {
  const bare = ["--no-prompt", "--cached-only", "--no-npm", "--no-lock"];
  if (input.source === "file") {
    return [...bare, "--no-remote", "--config", toFilePath(new URL("../../deno.json", input.entryUrl))];
  }
  if (input.host === undefined) throw new RangeError("a process from a URL needs the host of its modules");
  return [...bare, "--no-config", `--allow-import=${input.host}`];
}
