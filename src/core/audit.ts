import type { Principal, ToolIdentity } from "#/core/capability.ts";
import type { ErrorCode } from "#/core/error.ts";

/** The last entry of an audit log: `seq` counts from 1 over all segments, `sha256` is the hash of the entry. */
export interface AuditHead {
  readonly seq: number;
  /** Hex. */
  readonly sha256: string;
}

/** Which call of which turn. The guest's claims, but for the user; absent where there is no call. */
export interface AuditCall extends Partial<Principal> {
  readonly session?: string;
  readonly turn?: string;
  readonly callId?: string;
}

/** What an entry of each kind says. Names, hashes and sizes, never content. */
export interface AuditFields {
  /** The runner started. */
  opened: { readonly version: string; readonly policyDigest: string };
  /** Before the action. */
  decision: AuditCall & {
    readonly tool: ToolIdentity;
    /** Hex sha256 of the canonical arguments; absent when they were not parsed. */
    readonly argsSha256?: string;
    readonly decision: "granted" | "denied" | "ask";
    /** The rule, or the code of what refused before any rule was asked. */
    readonly source: string;
    readonly policyDigest: string;
    /** In words: `fs.read /shared/a.txt`, `http GET https://example.com:443/x`, `secret web_search`. What is missing, when denied. */
    readonly capabilities: readonly string[];
    readonly grant?: string;
  };
  /** After the action. */
  outcome: AuditCall & {
    readonly tool: ToolIdentity;
    readonly code: ErrorCode | "ok";
    readonly outputBytes: number;
    readonly readBytes?: number;
    readonly writtenBytes?: number;
    readonly upBytes?: number;
    readonly downBytes?: number;
    readonly elapsedMs: number;
    readonly grant?: string;
  };
  /** A question to the person, and what came of it. */
  approval: AuditCall & {
    readonly state: "asked" | "answered" | "expired";
    readonly tool?: ToolIdentity;
    readonly argsSha256?: string;
    readonly capabilities?: readonly string[];
    /** `once`, `session`, `never`, … */
    readonly answer?: string;
    readonly by?: "owner" | "relayed";
    /** Integer ms UTC. */
    readonly expiresAt?: number;
  };
  /** Anything else worth knowing, such as a sender that was refused. `from` says whose word it is. */
  notice: AuditCall & { readonly from: "guest" | "runner"; readonly code: string; readonly subject?: string };
  /** First entry of a segment but the first; its `prev` is the last hash of `segment`. */
  rotated: { readonly segment: string };
  /** An old segment goes, `lastSegment`; the log begins with the entry named here. */
  dropped: { readonly lastSegment: string; readonly firstSeq: number; readonly firstSha256: string };
}

/** Name of a kind of entry. */
export type AuditKind = keyof AuditFields;
