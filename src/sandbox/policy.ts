import type { AnswerClass, Capability, Decision, Policy } from "#/core/capability.ts";
import { canonicalJson } from "#/lib/canonical_json.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import { type Asker, isFor, type PolicyRule, stricter, toGrantingLine } from "#/sandbox/policy_rule.ts";

/**
 * A policy over layers of rules: the first layer with a rule for a need decides, so a person's rules stand before those that ship.
 * Within a layer the strictest rule wins, so its order means nothing; what no rule is for is denied. `decide` is pure. The digest is the
 * sha256 of the layers in canonical form.
 */
export async function openPolicy(layers: readonly (readonly PolicyRule[])[]): Promise<Policy> {
  const sorted = layers.map((rules) => [...rules].sort((a, b) => a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const digest = await sha256Hex(canonicalJson(sorted));
  return {
    digest,
    decide({ needs, principal, tool, isPrivate, now, timeoutMs, grantId }): Decision {
      const asker = { user: principal.user, agent: principal.agent, tool: tool.name, isPrivate };
      const verdicts = needs.map((need) => judge(need, sorted, asker));
      const source = sourceOf(verdicts.filter((verdict) => verdict.kind === "allowed"));
      const wanted = verdicts.map((verdict) => verdict.capability);
      const refused = verdicts.filter((verdict) => verdict.kind === "refused");
      if (refused.length > 0) return { kind: "denied", policyDigest: digest, ...toOpen(refused) };
      const asked = verdicts.filter((verdict) => verdict.kind === "asked");
      if (asked.length > 0) {
        const answer = asked.map((verdict) => verdict.answer).reduce(stricter);
        return { kind: "ask", wanted, answer, policyDigest: digest, ...toOpen(asked) };
      }
      const grant = { id: grantId, capabilities: wanted, source, expiresAt: now + timeoutMs };
      return { kind: "granted", grant, policyDigest: digest, source };
    },
  };
}

/** What the rules say to one need. `capability` is what a yes gives of it. */
type Verdict =
  & { readonly capability: Capability; readonly source: string; readonly reason: string }
  & ({ readonly kind: "allowed" | "refused" } | { readonly kind: "asked"; readonly answer: AnswerClass });

function judge(need: Capability, layers: readonly (readonly PolicyRule[])[], asker: Asker): Verdict {
  // A whole command stands beside the reason already, and may be long.
  const what = need.kind === "shell" ? "shell" : describeCapability(need);
  for (const rules of layers) {
    const found = rules.filter((rule) => isFor(rule, need, asker));
    const deny = found.find((rule) => rule.effect === "deny");
    if (deny !== undefined) {
      const reason = `${what} is refused by the rule ${deny.id}${deny.reason ? `: ${deny.reason}` : ""}`;
      return { kind: "refused", capability: need, source: deny.id, reason };
    }
    const asking = found.filter((rule) => rule.effect === "ask");
    if (asking.length > 0) {
      const answer = asking.map((rule) => rule.answer ?? "owner").reduce(stricter);
      const { id, reason = "a person decides" } = asking[0]!;
      return { kind: "asked", capability: need, source: id, reason: `${what}: ${reason} (rule ${id})`, answer };
    }
    const allow = widest(found);
    if (allow !== undefined) {
      return { kind: "allowed", capability: bounded(need, allow.most ?? Infinity), source: allow.id, reason: "" };
    }
  }
  const reason = `${what} is missing: no rule grants it; this line of a config file would: ${toGrantingLine(need)}`;
  return { kind: "refused", capability: need, source: "none", reason };
}

function toOpen(verdicts: readonly Verdict[]): { missing: Capability[]; source: string; reason: string } {
  return {
    missing: verdicts.map((verdict) => verdict.capability),
    source: sourceOf(verdicts),
    reason: verdicts.map((verdict) => verdict.reason).join("; "),
  };
}

function widest(rules: readonly PolicyRule[]): PolicyRule | undefined {
  return rules.reduce<PolicyRule | undefined>(
    (best, rule) => best === undefined || (rule.most ?? Infinity) > (best.most ?? Infinity) ? rule : best,
    undefined,
  );
}

/** Never more than asked for, never more than the rule gives. */
function bounded(need: Capability, most: number): Capability {
  switch (need.kind) {
    case "fs.list":
      return { ...need, entriesMax: Math.min(need.entriesMax, most) };
    case "fs.read":
    case "fs.write":
      return { ...need, bytesMax: Math.min(need.bytesMax, most) };
    case "http":
      return { ...need, bytesDownMax: Math.min(need.bytesDownMax, most) };
    default:
      return need;
  }
}

function sourceOf(verdicts: readonly Verdict[]): string {
  const ids = verdicts.map((verdict) => verdict.source);
  return ids.length === 0 ? "nothing needed" : [...new Set(ids)].join(", ");
}
