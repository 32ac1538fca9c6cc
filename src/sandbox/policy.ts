import { z } from "zod";
import type { Capability, CapabilityKind, Decision, Policy } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import { isWithin, ROOT_NAMES } from "#/core/virtual_path.ts";

const KINDS = ["fs.read", "fs.list", "fs.write"] as const satisfies readonly CapabilityKind[];

/** One rule. What no rule allows is denied; of several that apply the strictest wins, so their order means nothing. */
export const PolicyRule = z.strictObject({
  /** Named in grants, denials and the audit log, e.g. `default:fs.read`. */
  id: z.string().min(1).max(LIMITS.idCharsMax),
  kinds: z.array(z.enum(KINDS)).min(1),
  /** Virtual folder; the rule is for it and for what lies below. */
  under: z.string().refine((path) => ROOT_NAMES.some((root) => isWithin(path, `/${root}`)), "must begin with a root"),
  effect: z.enum(["allow", "ask", "deny"]),
  /** Most bytes (for fs.list: entries) that an allowing rule gives to one call. */
  most: z.number().int().nonnegative().optional(),
  /** Why, for the person and the model; a clause. */
  reason: z.string().max(LIMITS.idCharsMax).optional(),
});
export type PolicyRule = z.infer<typeof PolicyRule>;

/**
 * A policy over these rules. `decide` is pure; its digest is the sha256 of the rules in canonical form, whatever their order.
 * A rule that asks is answered with a denial for now: approvals arrive later.
 */
export async function openPolicy(rules: readonly PolicyRule[]): Promise<Policy> {
  const sorted = [...rules].sort((a, b) => a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  const digest = await sha256Hex(canonicalJson(sorted));
  return {
    digest,
    decide({ needs, now, timeoutMs, grantId }): Decision {
      const verdicts = needs.map((need) => judge(need, sorted));
      const refused = verdicts.filter((verdict) => verdict.kind === "refused");
      if (refused.length > 0) {
        return {
          kind: "denied",
          missing: refused.map((verdict) => verdict.need),
          policyDigest: digest,
          source: sourceOf(refused.map((verdict) => verdict.source)),
          reason: refused.map((verdict) => verdict.reason).join("; "),
        };
      }
      const allowed = verdicts.filter((verdict) => verdict.kind === "allowed");
      const source = sourceOf(allowed.map((verdict) => verdict.source));
      const capabilities = allowed.map((verdict) => verdict.capability);
      return {
        kind: "granted",
        grant: { id: grantId, capabilities, source, expiresAt: now + timeoutMs },
        policyDigest: digest,
        source,
      };
    },
  };
}

type Verdict =
  | { readonly kind: "allowed"; readonly capability: Capability; readonly source: string }
  | { readonly kind: "refused"; readonly need: Capability; readonly source: string; readonly reason: string };

function judge(need: Capability, rules: readonly PolicyRule[]): Verdict {
  const what = describeCapability(need);
  const ofKind = rules.filter((rule) => rule.kinds.includes(need.kind));
  // A tree that contains a forbidden folder is forbidden as a whole: a grant has no holes.
  const against = (effect: PolicyRule["effect"]) =>
    ofKind.find((rule) => rule.effect === effect && (isWithin(need.path, rule.under) || spans(need, rule.under)));
  const deny = against("deny");
  if (deny !== undefined) {
    const reason = `${what} is refused by the rule ${deny.id}${deny.reason ? `: ${deny.reason}` : ""}`;
    return { kind: "refused", need, source: deny.id, reason };
  }
  const ask = against("ask");
  if (ask !== undefined) {
    const reason = `${what} is missing: ${ask.reason ?? "it needs an approval, which arrives later"} (rule ${ask.id})`;
    return { kind: "refused", need, source: ask.id, reason };
  }
  const allow = widest(ofKind.filter((rule) => rule.effect === "allow" && isWithin(need.path, rule.under)));
  if (allow === undefined) {
    const reason = `${what} is missing: no rule grants it; a rule that allows ${need.kind} under ${need.path} would`;
    return { kind: "refused", need, source: "none", reason };
  }
  return { kind: "allowed", capability: bounded(need, allow.most ?? Infinity), source: allow.id };
}

function spans(need: Capability, folder: string): boolean {
  return need.kind !== "fs.write" && need.scope === "tree" && isWithin(folder, need.path);
}

function widest(rules: readonly PolicyRule[]): PolicyRule | undefined {
  return rules.reduce<PolicyRule | undefined>(
    (best, rule) => best === undefined || (rule.most ?? Infinity) > (best.most ?? Infinity) ? rule : best,
    undefined,
  );
}

/** Never more than asked for, never more than the rule gives. */
function bounded(need: Capability, most: number): Capability {
  if (need.kind === "fs.list") return { ...need, entriesMax: Math.min(need.entriesMax, most) };
  return { ...need, bytesMax: Math.min(need.bytesMax, most) };
}

function sourceOf(ids: readonly string[]): string {
  return ids.length === 0 ? "nothing needed" : [...new Set(ids)].join(", ");
}
