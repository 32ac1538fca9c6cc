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

/** Methods of HTTP that a tool can ask for (RFC 9110 §9; no CONNECT, no TRACE). */
export const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
/** One of them. */
export type HttpMethod = (typeof HTTP_METHODS)[number];

/** What a browser can be asked to do. */
export const BROWSER_ACTIONS = ["navigate", "snapshot", "act", "text", "screenshot", "tabs", "health"] as const;
/** What can be done to an element. */
export const BROWSER_KINDS = ["click", "type", "press", "fill", "hover", "scroll", "select", "focus"] as const;

/**
 * One power, as narrow as the arguments of a call allow. Paths of fs.* are virtual (`/shared/a.txt`); `host` is a name or an address as
 * the WHATWG URL parser writes it, without brackets; `path` of http is with its query for `exact`, a prefix of whole segments for `tree`.
 */
export type Capability =
  | { readonly kind: "fs.read"; readonly path: string; readonly scope: "file" | "tree"; readonly bytesMax: number }
  | { readonly kind: "fs.list"; readonly path: string; readonly scope: "dir" | "tree"; readonly entriesMax: number }
  | { readonly kind: "fs.write"; readonly path: string; readonly mode: "write" | "delete"; readonly bytesMax: number }
  | {
    readonly kind: "http";
    readonly scheme: "http" | "https";
    readonly host: string;
    readonly port: number;
    readonly methods: readonly HttpMethod[];
    readonly path: string;
    readonly scope: "exact" | "tree";
    readonly bytesUpMax: number;
    readonly bytesDownMax: number;
    /** Each hop is judged by policy like a call of its own. */
    readonly redirectsMax: number;
  }
  /** Spends a named secret, in a header, on these hosts; its value reaches nobody else. */
  | { readonly kind: "secret"; readonly name: string; readonly hosts: readonly string[] }
  /** Reads the settings of one section, e.g. `web_search`. */
  | { readonly kind: "config"; readonly section: string }
  /** Runs this text in the session's shell, inside the walls of its tier and nowhere else. */
  | { readonly kind: "shell"; readonly command: string }
  /** Lets what the call runs behind a tier's walls open connections to this host, through the egress process. `host` as in http. */
  | { readonly kind: "connect"; readonly host: string; readonly port: number }
  /** Does this in the conversation's browser: its pages reach what `http` would let the conversation read. */
  | { readonly kind: "browser"; readonly action: string }
  | { readonly kind: "clock" }
  | { readonly kind: "random" }
  | { readonly kind: "log" };

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
  }
  /** A person decides. `wanted` is the grant that a yes would make. */
  | {
    readonly kind: "ask";
    readonly wanted: readonly Capability[];
    /** Those of them that nobody grants unasked. */
    readonly missing: readonly Capability[];
    /** Who may say yes: only the owner at the control socket, or also whoever answers through the guest. */
    readonly answer: AnswerClass;
    readonly policyDigest: string;
    readonly source: string;
    readonly reason: string;
  };

/**
 * What a person is shown before they decide, made by the runner from the typed grant. An answer is bound to `key`: the sha256 of the
 * tool, its component, the arguments and `wanted`. Times are integer ms UTC.
 */
export interface ApprovalCard {
  readonly id: string;
  readonly key: string;
  readonly session: string;
  readonly turn: string;
  readonly callId: string;
  readonly principal: Principal;
  readonly tool: ToolIdentity;
  readonly argsSha256: string;
  readonly wanted: readonly Capability[];
  /** `wanted` in words, a line each. */
  readonly lines: readonly string[];
  readonly reason: string;
  readonly answer: AnswerClass;
  readonly askedAt: number;
  /** Silence until then is a no. */
  readonly expiresAt: number;
}

/** What a person can say to a card: yes to this call, to equal calls of this session, to equal calls until a time; no to this call, or to equal calls for ever. */
export const APPROVAL_ANSWERS = ["once", "session", "until", "no", "never"] as const;
/** One of them. */
export type ApprovalAnswer = (typeof APPROVAL_ANSWERS)[number];

/** An answer as it comes in. `until` in ms UTC, with the answer `until` alone. */
export interface GivenAnswer {
  /** Of the card. */
  readonly id: string;
  readonly answer: ApprovalAnswer;
  readonly until?: number;
}

/** What became of a card. `by` is `owner`, `relayed`, or `silence` when nobody answered in time. */
export interface ApprovalResolution {
  readonly id: string;
  readonly session: string;
  readonly turn: string;
  readonly callId: string;
  readonly answer: ApprovalAnswer;
  readonly by: AnswerClass | "silence";
}

/** Where an approval's answer may come from (DESIGN, "Against whom"). */
export type AnswerClass = "owner" | "relayed";

/** Answers what a principal may reach. Pure: same input, same decision. */
export interface Policy {
  /** Hex sha256 over the canonical rules. */
  readonly digest: string;
  decide(request: {
    readonly principal: Principal;
    readonly tool: ToolIdentity;
    readonly needs: readonly Capability[];
    /** The session has read from the vault or spent a private secret: what leaves now could carry it. */
    readonly isPrivate: boolean;
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
  /** Asked before, and the answer was lost: what may have changed something is not run a second time. */
  readonly resumed?: true;
  readonly traceparent?: string;
}

/** What came of a call. `decision` is absent when the call never reached policy (unknown tool, bad arguments). */
export interface Outcome {
  readonly kind: "ok" | "failed" | "denied" | "ask";
  readonly tool: ToolIdentity;
  readonly decision?: Decision;
  /** With `ask`: what a person is shown. The same call again, after their answer, is run or denied. */
  readonly card?: ApprovalCard;
  /** Absent for `ok`. */
  readonly code?: ErrorCode;
  /** The audit log's last entry when this came back (AuditHead). */
  readonly auditHead?: { readonly seq: number; readonly sha256: string };
  /** Full text for `ok` (≤ toolOutputBytesMax), else a sentence the model can act on. */
  readonly text: string;
  /** Size of the output before any cut. */
  readonly outputBytes: number;
  readonly elapsedMs: number;
}

/** How the output of a call that runs ends so far: whole lines, as a terminal would leave them. */
export interface OutputSoFar {
  readonly tail: string;
  /** How many lines there were, those of `tail` included. */
  readonly lines: number;
}

/** Names a call among all of a user's: as JSON, so that no choice of ids looks like another. Pure. */
export function toCallKey({ session, turn, callId }: Pick<ToolRequest, "session" | "turn" | "callId">): string {
  return JSON.stringify([session, turn, callId]);
}

/** The seam between a turn and everything that acts. Never throws for a tool's trouble; throws `cancelled` when the signal fires, `tool_interrupted` when nobody acts any more. */
export interface Sandbox {
  /** `onOutput`: told now and then how the output of a call that shows it ends; synchronous, and only until the call ends. */
  call(request: ToolRequest, signal: AbortSignal, onOutput?: (output: OutputSoFar) => void): Promise<Outcome>;
  /**
   * Passes on what somebody answered who is not at the runner's own socket. Throws AppError `approval_refused` when only the owner may
   * answer, `approval_unknown` for a card that is not open, `usage`.
   */
  answer(given: GivenAnswer): Promise<void>;
  /**
   * Says that a session begins with what another one holds, or, without `from`, with what nobody here knows: it has seen something private when
   * that one has, or when it is not known. Resolves when that is kept.
   */
  derived(session: string, from: string | undefined): Promise<void>;
  /**
   * Says that a session is deleted: its calls, shell, way out and browser end, and no answer given in it counts any more. That it has seen something
   * private stays known. Resolves when they are gone, or after `sessionEndMs` while they still end. Throws AppError: what could not be done.
   */
  forget(session: string): Promise<void>;
}
