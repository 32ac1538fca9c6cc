import type { AuditCall } from "#/core/audit.ts";
import type { ApprovalCard, Decision, Grant, Outcome, ToolIdentity, ToolRequest } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import type { Audit } from "#/sandbox/audit.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import type { Touched } from "#/sandbox/host_service.ts";
import { toRefusal } from "#/sandbox/outcome.ts";

/** What one call leaves in the audit log: its decision before anything runs, its outcome after. */
export class AuditTrail {
  readonly #audit: Audit;
  readonly #digest: string;
  readonly #call: AuditCall;
  #isDecided = false;
  #grant: { grant?: string } = {};

  constructor(audit: Audit, policyDigest: string, { principal, session, turn, callId }: ToolRequest) {
    this.#audit = audit;
    this.#digest = policyDigest;
    this.#call = { ...principal, session, turn, callId };
  }

  /** Throws AppError `audit_failed`: then nothing may run. */
  decided(tool: ToolIdentity, decision: Decision, argsSha256: string, card: ApprovalCard | undefined): void {
    const { kind, source } = decision;
    if (decision.kind === "granted") this.#grant = { grant: decision.grant.id };
    const of = decision.kind === "granted" ? decision.grant.capabilities : decision.missing;
    const capabilities = of.map(describeCapability);
    const entry = { ...this.#call, tool, argsSha256, capabilities };
    this.#audit.append("decision", { ...entry, decision: kind, source, policyDigest: this.#digest, ...this.#grant });
    this.#isDecided = true;
    if (card === undefined) return;
    this.#audit.append("approval", { ...entry, state: "asked", expiresAt: card.expiresAt });
  }

  /** One step of a call that holds its powers one after another; the call's id and grant tie the steps together. */
  step(tool: ToolIdentity, name: string, { id, capabilities, source }: Grant, argsSha256: string): void {
    this.#audit.append("decision", {
      ...this.#call,
      tool,
      argsSha256,
      decision: "granted",
      source: `${source}, step ${name}`,
      policyDigest: this.#digest,
      capabilities: capabilities.map(describeCapability),
      grant: id,
    });
  }

  /** The outcome with the log's new head; one that cannot be written down is a failed call, whatever it did. */
  ended(outcome: Outcome, touched?: Touched): Outcome {
    const { tool, code = "ok", outputBytes, elapsedMs } = outcome;
    try {
      if (!this.#isDecided) this.#refused(tool, code);
      if (outcome.kind === "ask") return { ...outcome, auditHead: this.#audit.head };
      const sizes = { ...touched, outputBytes, elapsedMs };
      const auditHead = this.#audit.append("outcome", { ...this.#call, tool, code, ...sizes, ...this.#grant });
      return { ...outcome, auditHead };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const text = `${error.message}. Whether the call took effect is not recorded: check before you do it again`;
      return toRefusal(tool, { kind: "failed", code: error.code, text });
    }
  }

  /** It did not come to a rule. */
  #refused(tool: ToolIdentity, source: string): void {
    const policyDigest = this.#digest;
    this.#audit.append("decision", { ...this.#call, tool, decision: "denied", source, policyDigest, capabilities: [] });
    this.#isDecided = true;
  }
}
