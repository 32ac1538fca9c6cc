import { z } from "zod";
import { type AnswerClass, type Capability, type CapabilityKind, HTTP_METHODS } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { isWithin, ROOT_NAMES } from "#/core/virtual_path.ts";
import { line } from "#/lib/field.ts";
import { INTERFACE_OF } from "#/sandbox/interfaces.ts";

const KINDS = Object.keys(INTERFACE_OF) as CapabilityKind[];

/** `example.com`, `*.example.com` (what lies below it), `*` (every host). IPv6 addresses stand without brackets. */
const HostPattern = z.string().regex(/^(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|[0-9a-f:.]+)$/, {
  message: 'must be "*", a host name in lower case, or "*." and a host name',
});
const PortRange = z.string().regex(/^\d{1,5}(?:-\d{1,5})?$/, "must be a port or a range such as 1-1023");
const NET_KINDS: readonly CapabilityKind[] = ["http", "connect", "secret"];
const Names = z.array(line()).min(1);

/**
 * One rule. It is for a capability when every field that it has fits: `under` for fs.*, `hosts`, `methods` and `ports` for http and connect, `names`
 * for secrets, settings and what a browser does, `tools`, `agents` and `users` for who asks, `when` for a session that has seen something private. An agent's
 * name is the guest's claim (DESIGN), so `agents` narrows what an honest guest does and is no wall against a broken one.
 */
export const PolicyRule = z.strictObject({
  /** Named in grants, denials and the audit log, e.g. `default:read /shared`. */
  id: z.string().min(1).max(LIMITS.idCharsMax),
  kinds: z.array(z.enum(KINDS)).min(1),
  effect: z.enum(["allow", "ask", "deny"]),
  /** Virtual folder; the rule is for it and for what lies below. */
  under: z.string().refine((path) => ROOT_NAMES.some((root) => isWithin(path, `/${root}`)), "must begin with a root")
    .optional(),
  hosts: z.array(HostPattern).min(1).optional(),
  methods: z.array(z.enum(HTTP_METHODS)).min(1).optional(),
  ports: z.array(PortRange).min(1).optional(),
  names: Names.optional(),
  tools: Names.optional(),
  agents: Names.optional(),
  users: Names.optional(),
  when: z.enum(["private"]).optional(),
  /** Most bytes (for fs.list: entries; for http: of the answer) that an allowing rule gives to one call. */
  most: z.number().int().nonnegative().optional(),
  /** Who may answer a rule that asks; the owner alone when absent. */
  answer: z.enum(["owner", "relayed"]).optional(),
  /** Why, for the person and the model; a clause. */
  reason: z.string().max(LIMITS.idCharsMax).optional(),
}).superRefine((rule, context) => {
  const isFs = rule.kinds.some((kind) => kind.startsWith("fs."));
  const isNet = rule.kinds.some((kind) => NET_KINDS.includes(kind));
  const need = (field: "under" | "hosts", wanted: boolean, of: string) => {
    if ((rule[field] !== undefined) === wanted) return;
    const message = wanted ? `is needed for ${of}` : `is only for ${of}`;
    context.addIssue({ code: "custom", path: [field], message });
  };
  need("under", isFs, "fs.read, fs.list and fs.write");
  need("hosts", isNet, "http, connect and secret");
  if (isFs && rule.kinds.some((kind) => !kind.startsWith("fs."))) {
    const message = "a rule is for files or for something else, not both";
    context.addIssue({ code: "custom", path: ["kinds"], message });
  }
});
export type PolicyRule = z.infer<typeof PolicyRule>;

/** `[policy]`: the person's own rules, asked before those that ship. */
export const PolicyConfig = z.strictObject({ rules: z.array(PolicyRule).max(LIMITS.policyRulesMax).default([]) });

/** Who asks, and after what. */
export interface Asker {
  readonly user: string;
  readonly agent: readonly string[];
  readonly tool: string;
  readonly isPrivate: boolean;
}

/**
 * True when the rule is for this need. A rule that forbids or asks is also for a tree that contains its folder: a grant has no holes.
 * Pure.
 */
export function isFor(rule: PolicyRule, need: Capability, asker: Asker): boolean {
  if (!rule.kinds.includes(need.kind)) return false;
  if (rule.when === "private" && !asker.isPrivate) return false;
  if (rule.users !== undefined && !rule.users.includes(asker.user)) return false;
  if (rule.tools !== undefined && !rule.tools.includes(asker.tool)) return false;
  if (rule.agents !== undefined && !asker.agent.some((name) => rule.agents!.includes(name))) return false;
  switch (need.kind) {
    case "fs.read":
    case "fs.list":
    case "fs.write": {
      const spans = need.kind !== "fs.write" && need.scope === "tree" && isWithin(rule.under!, need.path);
      return isWithin(need.path, rule.under!) || (rule.effect !== "allow" && spans);
    }
    case "http": {
      const fits = (methods: readonly string[]) => need.methods[howMany(rule)]((method) => methods.includes(method));
      if (!isHostIn(need.host, rule.hosts!) || (rule.methods !== undefined && !fits(rule.methods))) return false;
      return isPortOf(rule, need.port);
    }
    case "connect":
      return isHostIn(need.host, rule.hosts!) && isPortOf(rule, need.port);
    case "secret":
      if (!need.hosts[howMany(rule)]((host) => isHostIn(host, rule.hosts!))) return false;
      return rule.names?.includes(need.name) ?? true;
    case "config":
      return rule.names?.includes(need.section) ?? true;
    case "browser":
      return rule.names?.includes(need.action) ?? true;
    default:
      return true;
  }
}

/** Allowing needs all of what is wanted, forbidding and asking any of it. */
function howMany(rule: PolicyRule): "every" | "some" {
  return rule.effect === "allow" ? "every" : "some";
}

/** Whole names: `*.example.com` is for `a.example.com`, not for `example.com` and not for `badexample.com`. */
export function isHostIn(host: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern === "*" || pattern === host || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1)))
  );
}

function isPortOf({ ports }: PolicyRule, port: number): boolean {
  return ports === undefined || ports.some((range) => isPortIn(port, range));
}

function isPortIn(port: number, range: string): boolean {
  const [low, high = low] = range.split("-").map(Number);
  return port >= low! && port <= high!;
}

/** The rule that would grant a need, as one line of a config file. Pure. */
export function toGrantingLine(need: Capability): string {
  return `policy.rules = [{ id = "mine", kinds = ["${need.kind}"], ${toConditions(need)}effect = "allow" }]`;
}

function toConditions(need: Capability): string {
  const list = (values: readonly unknown[]) => `[${values.map((value) => JSON.stringify(String(value))).join(", ")}]`;
  switch (need.kind) {
    case "fs.read":
    case "fs.list":
    case "fs.write":
      return `under = ${JSON.stringify(need.path)}, `;
    case "http":
      return `hosts = ${list([need.host])}, methods = ${list(need.methods)}, ports = ${list([need.port])}, `;
    case "connect":
      return `hosts = ${list([need.host])}, ports = ${list([need.port])}, `;
    case "secret":
      return `hosts = ${list(need.hosts)}, names = ${list([need.name])}, `;
    case "config":
      return `names = ${list([need.section])}, `;
    case "browser":
      return `names = ${list([need.action])}, `;
    default:
      return "";
  }
}

/** A rule in words: `fs.read, fs.list under /vault`, `http GET/HEAD to * port 80, 443`. Pure. */
export function describeRule(rule: PolicyRule): string {
  const parts = [
    rule.kinds.join(", "),
    rule.names?.join(", "),
    rule.methods?.join("/"),
    rule.under === undefined ? undefined : `under ${rule.under}`,
    rule.hosts === undefined ? undefined : `to ${rule.hosts.join(", ")}`,
    rule.ports === undefined ? undefined : `port ${rule.ports.join(", ")}`,
    rule.tools === undefined ? undefined : `by ${rule.tools.join(", ")}`,
    rule.agents === undefined ? undefined : `for the agents ${rule.agents.join(", ")}`,
    rule.users === undefined ? undefined : `for the users ${rule.users.join(", ")}`,
    rule.when === undefined ? undefined : "once the session has seen something private",
  ];
  return parts.filter((part) => part !== undefined).join(" ");
}

/** The stricter of two answers. */
export function stricter(a: AnswerClass, b: AnswerClass): AnswerClass {
  return a === "owner" || b === "owner" ? "owner" : "relayed";
}
