import type { AuditHead } from "#/core/audit.ts";
import type { ToolEffect } from "#/core/tool.ts";
import type { Origin } from "#/config/source.ts";
import type { Permissions } from "#/runner/permissions.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";
import type { Answered } from "#/cli/posture_questions.ts";

/** A process, by its flags alone. */
export interface PostureProcess {
  readonly name: ProcessPlan["name"];
  readonly permissions: Permissions;
  /** Names of its environment; the runner has the person's own. */
  readonly environment: readonly string[];
}

/** One layer of policy; the first with a rule for a need decides. */
export interface PostureLayer {
  readonly name: "yours" | "settings" | "shipped";
  readonly origin: Origin;
  readonly rules: readonly {
    readonly id: string;
    readonly effect: "allow" | "asks the owner" | "asks anyone" | "deny";
    readonly rule: string;
    /** Bytes; entries for fs.list. */
    readonly most?: number;
    readonly reason?: string;
  }[];
}

/** A secret, never its value. */
export interface PostureSecret {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly private: boolean;
  /** The variable that holds it; null where none is configured. */
  readonly variable: string | null;
  readonly set: boolean;
}

/** A tool that an agent can call. */
export interface PostureTool {
  readonly name: string;
  /** The package that it is of; `host` for what the runner runs itself. */
  readonly package: string;
  readonly effect: ToolEffect;
  /** False for what this person installed. */
  readonly own: boolean;
}

/** An answer that stands, or a call that waits for one. Times are integer ms UTC. */
export interface PostureApprovals {
  readonly standing: readonly {
    readonly answer: string;
    readonly by: string;
    readonly what: string | null;
    readonly session?: string;
    readonly until?: number;
  }[];
  readonly waiting: readonly { readonly id: string; readonly what: string; readonly expiresAt: number }[];
  readonly privateSessions: number;
}

/** A model that the guest can reach; `key` is the place that its key came from. */
export interface PostureModel {
  readonly provider: string;
  readonly model: string;
  readonly hosts: readonly string[];
  readonly key: string | null;
}

/** What this installation can touch right now. `--json` prints it as it is. */
export interface Posture {
  readonly version: string;
  readonly deno: string;
  readonly platform: string;
  readonly user: string;
  readonly tier: string;
  /** What holds the shell and the browser of the runner that lives; null when none lives. */
  readonly shell: string | null;
  readonly browser: string | null;
  readonly workspace: string;
  readonly gateway: string | null;
  /** Where conversations are recorded: a path, or `remote store host:port`. */
  readonly eventLog: string;
  readonly questions: readonly Answered[];
  readonly mounts: readonly { readonly root: string; readonly path: string; readonly origin: Origin }[];
  readonly web: { readonly mode: string; readonly proxy: string | null; readonly allowlist: readonly string[] };
  readonly model: PostureModel | null;
  /** Who answers when `model` cannot, in this order. */
  readonly fallback: readonly PostureModel[];
  readonly secrets: readonly PostureSecret[];
  readonly tools: readonly PostureTool[];
  readonly approvals: PostureApprovals | null;
  readonly policy: { readonly digest: string; readonly layers: readonly PostureLayer[] };
  readonly processes: readonly PostureProcess[];
  readonly auditHead: (AuditHead & { readonly at: number }) | null;
  readonly degraded: readonly Degraded[];
}

/** Something that is less than it could be. */
export interface Degraded {
  readonly code: string;
  readonly why: string;
}
