import { AppError } from "#/core/error.ts";
import { toFilePath } from "#/lib/path.ts";
import { type ChildPlanInput, passEnv, toBareFlags, underParent } from "#/sandbox/child_plan.ts";

/** Variables of a process, by name. */
export type Environment = Readonly<Record<string, string>>;

/** A process before it runs: what `doctor` shows and what is spawned are the same value. */
export interface ProcessPlan {
  readonly name:
    | "runner"
    | "client"
    | "tui"
    | "guest"
    | "relay"
    | "tool child"
    | "inspector"
    | "egress public"
    | "egress listed"
    | "log reader"
    | "log copier"
    | "model probe";
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process: nothing is inherited. */
  readonly env: Environment;
  /** What it can reach, in words, one sentence each; made beside the flag that opens it. */
  readonly reach: readonly string[];
}

/**
 * A path as Deno's `--allow-read=` and its kin take it. A comma would begin another path and open it too, and Deno has no way to
 * write one. Throws AppError `config_invalid`.
 */
export function toFlagPath(path: string): string {
  if (!path.includes(",")) return path;
  const why = "a workspace path with a comma cannot be given to Deno as a permission; choose another folder";
  throw new AppError("config_invalid", `${path}: ${why}`);
}

/** The import map of a checkout. Only for a program from a file. */
export function configPath(program: Program): string {
  return toFilePath(new URL("../deno.json", program.srcUrl));
}

/** Where our own code comes from: it decides how a process finds its modules. */
export interface Program {
  /** `file:` or `http(s):` URL of src/. */
  readonly srcUrl: string;
  readonly source: "file" | "url";
  /** Real path of the running Deno. */
  readonly denoPath: string;
  /** `setpriv` where it exists: a child dies with its parent. */
  readonly setprivPath: string | null;
}

/** What decides the flags of every process of ours. */
export interface PlanInput {
  readonly program: Program;
  /** Of the runner; a process gets the few names of it that it needs. */
  readonly env: Environment;
}

/** The few names of the environment that a Deno process needs to find its cache and the network's trust store (DESIGN, "Guest flags"). */
const PASSED_NAMES = [
  "DENO_DIR",
  "HOME",
  "XDG_CACHE_HOME",
  "NPM_CONFIG_REGISTRY",
  "DENO_TLS_CA_STORE",
  "DENO_CERT",
  "NODE_EXTRA_CA_CERTS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "TZ",
  "NO_COLOR",
] as const;

/** The environment of a child process, made new: only the names above, and no update check. */
export function toChildEnv(env: Environment, names: readonly string[] = PASSED_NAMES): Record<string, string> {
  return passEnv(env, names);
}

/** Flags that say where a process with npm packages finds its modules, and that it finds none elsewhere (facts/packaging.md §1.5). */
export function toModuleFlags(program: Program, lockPath: string): string[] {
  const always = ["--no-prompt", "--cached-only", `--lock=${lockPath}`];
  if (program.source === "url") return [...always, "--no-config", `--allow-import=${new URL(program.srcUrl).host}`];
  return [...always, "--frozen", "--no-remote", "--config", configPath(program)];
}

/** The program's Deno with these arguments; SIGKILL of the runner takes it along. */
export function withParentDeath(program: Program, args: readonly string[]): { command: string; args: string[] } {
  return underParent(toParent(program), args);
}

/** How `underParent` is told of the program. */
export function toParent({ denoPath, setprivPath }: Program): Pick<ChildPlanInput, "denoPath" | "pdeathsig"> {
  return { denoPath, ...(setprivPath === null ? {} : { pdeathsig: setprivPath }) };
}

/** A file of src that starts a process without packages, and where that process finds its modules. */
export function toBareEntry(
  { srcUrl, source }: Program,
  path: string,
): Pick<ChildPlanInput, "entryUrl" | "source" | "host"> {
  const host = source === "url" ? { host: new URL(srcUrl).host } : {};
  return { entryUrl: new URL(path, srcUrl).href, source, ...host };
}

/**
 * A process without packages that starts with `path`, a file of src, and `words`: `flags` are all that it may do, and of the environment it
 * has where Deno's cache is. Pure.
 */
export function planBare(
  { program, env }: PlanInput,
  path: string,
  { name, flags, words, reach }: Pick<ProcessPlan, "name" | "reach"> & Record<"flags" | "words", readonly string[]>,
): ProcessPlan {
  const entry = toBareEntry(program, path);
  const args = ["run", "-q", ...toBareFlags(entry), ...flags, entry.entryUrl, ...words];
  return {
    name,
    ...withParentDeath(program, args),
    env: toChildEnv(env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME"]),
    reach,
  };
}
