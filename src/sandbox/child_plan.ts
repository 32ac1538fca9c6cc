import { LIMITS } from "#/core/limits.ts";
import { toFilePath } from "#/lib/path.ts";

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

/** A tool child before it runs. */
export interface ChildPlan {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
}

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
  const env: Record<string, string> = { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  for (const name of ["DENO_DIR", "HOME", "XDG_CACHE_HOME"]) {
    const value = input.env[name];
    if (value !== undefined && value !== "") env[name] = value;
  }
  if (input.pdeathsig === undefined) return { command: input.denoPath, args, env };
  return { command: input.pdeathsig, args: ["--pdeathsig", "KILL", "--", input.denoPath, ...args], env };
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
