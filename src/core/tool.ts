import type { z } from "zod";
import type { Capability } from "#/core/capability.ts";

/** What a call may change: `read_only` calls of one step run together, everything else runs alone and in order. */
export type ToolEffect = "read_only" | "side_effecting" | "privileged";

/** Runs inside a WASM component of this package, in a tool child. */
export interface ComponentRun {
  readonly component: string;
}

/** Runs in the runner itself, a few lines under the same grant: what no component may do, because it would hold two powers at once. */
export interface HostRun {
  readonly host: "vault_copyto" | "attachment_save" | "shell_exec" | "browser";
}

/** One tool. `needs` is pure: the runner computes it from parsed arguments, and nothing else decides what a call may reach. */
export interface Tool<Args = unknown> {
  readonly name: string;
  readonly description: string;
  /** Strict schema of the arguments; its JSON Schema goes to the model. */
  readonly args: z.ZodType<Args>;
  readonly effect: ToolEffect;
  /** Wall time of one call, its waiting for a child excluded. */
  readonly timeoutMs: number;
  needs(args: Args): readonly Capability[];
  readonly run: ComponentRun | HostRun;
}

/** Declares a tool. The identity function, for its types. */
export function defineTool<Args>(tool: Tool<Args>): Tool<Args> {
  return tool;
}
