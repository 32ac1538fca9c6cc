import type { ErrorCode } from "#/core/error.ts";

/** Who asks. The runner checks the user; agent path and origin are the guest's claims, so no policy may give more for them. */
export interface Principal {
  readonly user: string;
  /** Agent names from the root to the caller, e.g. `["default", "researcher"]`. */
  readonly agent: readonly string[];
  readonly origin: "channel" | "schedule" | "subagent" | "api";
}

/** Which tool, exactly. */
export interface ToolIdentity {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** Hex sha256 of the component; of the package version string for a tool without one. */
  readonly sha256: string;
}

/** One power, as narrow as the arguments of a call allow. Paths are virtual (`/shared/a.txt`). */
export type Capability =
  | { readonly kind: "fs.read"; readonly path: string; readonly scope: "file" | "tree"; readonly bytesMax: number }
  | { readonly kind: "fs.list"; readonly path: string; readonly scope: "dir" | "tree"; readonly entriesMax: number }
  | { readonly kind: "fs.write"; readonly path: string; readonly mode: "write" | "delete"; readonly bytesMax: number };

/** Name of a capability as policy and messages use it. */
export type CapabilityKind = Capability["kind"];

/** What one call may reach. Made by the runner, checked by the broker at every host call, never taken from a guest. */
export interface Grant {
  readonly id: string;
  readonly capabilities: readonly Capability[];
  /** The policy rule that granted, e.g. `default:fs.read`. */
  readonly source: string;
  /** Integer ms UTC. */
  readonly expiresAt: number;
}

/** What policy said to one call. */
export type Decision =
  | { readonly kind: "granted"; readonly grant: Grant; readonly policyDigest: string; readonly source: string }
  | {
    readonly kind: "denied";
    readonly missing: readonly Capability[];
    readonly policyDigest: string;
    readonly source: string;
    readonly reason: string;
  };

/** Answers what a principal may reach. Pure: same input, same decision. */
export interface Policy {
  /** Hex sha256 over the canonical rules. */
  readonly digest: string;
  decide(request: {
    readonly principal: Principal;
    readonly tool: ToolIdentity;
    readonly needs: readonly Capability[];
    readonly now: number;
    readonly timeoutMs: number;
    readonly grantId: string;
  }): Decision;
}

/** A tool call as a guest names it: principal, tool and arguments, nothing else. */
export interface ToolRequest {
  readonly principal: Principal;
  readonly session: string;
  readonly turn: string;
  readonly callId: string;
  readonly tool: string;
  /** Parsed JSON; the runner parses it again with the tool's schema. */
  readonly args: unknown;
  readonly traceparent?: string;
}

/** What came of a call. `decision` is absent when the call never reached policy (unknown tool, bad arguments). */
export interface Outcome {
  readonly kind: "ok" | "failed" | "denied" | "ask";
  readonly tool: ToolIdentity;
  readonly decision?: Decision;
  /** Absent for `ok`. */
  readonly code?: ErrorCode;
  /** Full text for `ok` (≤ toolOutputBytesMax), else a sentence the model can act on. */
  readonly text: string;
  /** Size of the output before any cut. */
  readonly outputBytes: number;
  readonly elapsedMs: number;
}

/** The seam between a turn and everything that acts. Never throws for a tool's trouble; throws `cancelled` when the signal fires. */
export interface Sandbox {
  call(request: ToolRequest, signal: AbortSignal): Promise<Outcome>;
}
