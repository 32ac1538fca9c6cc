import type { Origin } from "#/config/source.ts";
import type { Permission, Permissions } from "#/runner/permissions.ts";
import { TIED, toRow } from "#/cli/columns.ts";
import type { Posture, PostureLayer } from "#/cli/posture_shape.ts";
import { toCount, toMinute } from "#/cli/wording.ts";

/** Where the text beside a label begins. */
const LABEL = 13;
/** Parts of a list that are told before it is cut; `--json` has all. */
const PARTS_MAX = 4;

/** A permission as a power, and as one that is missing. */
const WORDS: Readonly<Record<Permission, readonly [can: string, cannot: string]>> = {
  read: ["read", "read files"],
  write: ["write", "write files"],
  net: ["network", "use the network"],
  env: ["variables", "read the environment"],
  run: ["start", "start programs"],
  ffi: ["load", "load libraries"],
  sys: ["ask the system", "ask the system"],
  import: ["import code", "import code from a host"],
};

const LAYERS: Readonly<Record<PostureLayer["name"], string>> = {
  yours: "YOUR RULES",
  settings: "RULES THAT FOLLOW FROM YOUR SETTINGS",
  shipped: "RULES THAT SHIP WITH OXYDRA",
};

/** What a person reads before they trust this machine with something, in 80 columns. `now` in ms UTC. Pure. */
export function toPostureText(posture: Posture, now: number): string {
  return [
    ...toHead(posture),
    ...toQuestions(posture),
    ...toDegraded(posture),
    ...toToolNames(posture),
    ...toPlaces(posture),
    ...toSecrets(posture),
    ...toApprovals(posture, now),
    ...toPolicy(posture),
    ...toProcesses(posture),
    ...toAudit(posture),
  ].join("\n").replaceAll(TIED, " ");
}

/** Nothing is tried for a posture. */
const UNTRIED = "known while it runs; `oxydra doctor` tries it now";

function toHead({ version, deno, platform, user, tier, shell, browser, workspace, gateway }: Posture): string[] {
  return [
    `oxydra ${version} on Deno ${deno}, ${platform}`,
    ...toRow("user", LABEL, `${user}, isolation tier ${tier}`),
    ...toRow("shell", LABEL, shell ?? UNTRIED),
    ...toRow("browser", LABEL, browser ?? UNTRIED),
    ...toRow("workspace", LABEL, workspace),
    ...toRow("gateway", LABEL, gateway === null ? "not running" : `${gateway}, for whoever has its token`),
  ];
}

function toQuestions({ questions }: Posture): string[] {
  return [
    "",
    "WHEN AN AGENT …",
    ...questions.flatMap(({ question, afterPrivate, answer, rule }) => {
      const tied = (rule === "none" ? "no rule grants it" : rule).replaceAll(", ", ",\n").replaceAll(" ", TIED);
      return toRow(
        `  ${afterPrivate ? "… after something private was seen" : question}`,
        38,
        `${answer.padEnd(16).replaceAll(" ", TIED)}${tied.replaceAll("\n", " ")}`,
        54,
      );
    }),
  ];
}

function toToolNames({ tools }: Posture): string[] {
  const foreign = tools.filter(({ own }) => !own);
  return [
    "",
    "TOOLS",
    ...toRow("  oxydra's", LABEL, tools.filter(({ own }) => own).map(({ name }) => name).join(", ")),
    ...toRow("  installed", LABEL, foreign.map((tool) => `${tool.name} (${tool.package})`).join(", ") || "none"),
  ];
}

function toPlaces({ mounts, web, model, fallback, eventLog }: Posture): string[] {
  return [
    "",
    "FILES: an agent's tools see these folders of this machine and no other",
    ...mounts.flatMap(({ root, path, origin }) => toRow(`  ${root}`, LABEL, `${path}${toOrigin(origin)}`)),
    ...toRow("  event log", LABEL, `${eventLog}; no tool sees it`),
    "",
    "NETWORK",
    ...toRow("  tools", LABEL, toWeb(web)),
    ...toRow("  allowlist", LABEL, web.allowlist.join(", ") || "empty: no address inside is reachable by tools"),
    ...toRow("  model", LABEL, toModelText(model)),
    ...fallback.flatMap((other) => toRow("  fallback", LABEL, toModelText(other))),
  ];
}

function toWeb({ mode, proxy }: Posture["web"]): string {
  return mode === "strict"
    ? `hosts of the allowlist only, through the proxy ${proxy ?? "(none)"} (egress_mode strict)`
    : "public addresses, as the rules below say (egress_mode default)";
}

function toModelText(model: Posture["model"]): string {
  if (model === null) return "none can be chosen";
  const where = model.hosts.length === 0 ? ", inside the guest" : ` at ${model.hosts.join(", ")}`;
  const key = model.key === null ? "no key" : `the guest has its key, from ${model.key}`;
  return `${model.provider}/${model.model}${where}; ${key}`;
}

function toSecrets({ secrets }: Posture): string[] {
  if (secrets.length === 0) return ["", "SECRETS OF TOOLS: none"];
  return [
    "",
    "SECRETS OF TOOLS: spent in a header on these hosts, shown to nobody",
    ...secrets.flatMap(({ name, hosts, set, variable, private: isPrivate }) => {
      const from = variable === null ? "no variable is named for it" : `${set ? "set" : "NOT SET"} (${variable})`;
      return toRow(`  ${name}`, 18, `${from}; to ${hosts.join(", ")}${isPrivate ? "" : "; what it opens is public"}`);
    }),
  ];
}

function toApprovals({ approvals }: Posture, now: number): string[] {
  if (approvals === null) return ["", "APPROVALS: the file is damaged, so none stands"];
  const { standing, waiting, privateSessions } = approvals;
  const stands = standing.flatMap(({ answer, by, what, session, until }) => {
    const where = session === undefined ? "" : `, session ${session}`;
    const when = until === undefined ? "" : ` ${toMinute(until)}${until <= now ? " (over)" : ""}`;
    return toRow(`  ${answer}${when}`, LABEL, `${what ?? "a call of an older version"} (by ${by}${where})`);
  });
  const answers = toCount(standing.length, "answer stands", "answers stand");
  const seen = `${toCount(privateSessions, "session has", "sessions have")} seen something private`;
  return [
    "",
    `APPROVALS: ${answers}, ${toCount(waiting.length, "call waits", "calls wait")}`,
    ...stands,
    ...waiting.flatMap(({ id, what, expiresAt }) =>
      toRow("  waits", LABEL, `${what} (${id}, a no at ${toMinute(expiresAt)})`)
    ),
    ...(privateSessions === 0 ? [] : toRow("  private", LABEL, seen)),
  ];
}

function toPolicy({ policy }: Posture): string[] {
  return [
    "",
    "POLICY: the first block with a rule for a need decides; in a block the strictest",
    "rule wins; what no rule is for is denied",
    ...toRow("  digest", LABEL, policy.digest),
    ...policy.layers.flatMap(({ name, origin, rules }) => [
      "",
      `  ${LAYERS[name]}${rules.length === 0 ? ": none" : toOrigin(origin)}`,
      ...rules.flatMap(({ id, effect, rule, most, reason }) => {
        const amount = most === undefined ? "" : `, at most ${toAmount(most, rule)}`;
        return toRow(`  ${effect}`, 18, `${rule}${amount}${reason ? `: ${reason}` : ""} [${id.replaceAll(" ", TIED)}]`);
      }),
    ]),
  ];
}

function toProcesses({ processes }: Posture): string[] {
  return [
    "",
    "PROCESSES: what their flags open; the rest is refused by Deno",
    ...processes.flatMap(({ name, permissions, environment }) => [
      "",
      `  ${name.toUpperCase()}`,
      ...toReach(permissions),
      ...(permissions.all ? [] : toRow("    environment", 19, environment.join(" ") || "empty")),
    ]),
  ];
}

function toReach({ all, open, closed }: Permissions): string[] {
  if (all) return toRow("    can", LABEL, "do everything that you can: it starts the others and opens what is granted");
  return [
    ...open.flatMap(({ permission, only, but }) => {
      const what = only.length === 0 ? "everything" : only.map(toPlace).join(", ");
      return toRow(`    ${WORDS[permission][0]}`, 19, but.length === 0 ? what : `${what}, but not ${toShort(but)}`);
    }),
    ...toRow("    cannot", 19, closed.map((permission) => WORDS[permission][1]).join(", ")),
  ];
}

/** Port 0 is how Deno is told that any free one will do. */
function toPlace(place: string): string {
  return place.endsWith(":0") ? `${place.slice(0, -2)} at a port that is free` : place;
}

function toShort(parts: readonly string[]): string {
  if (parts.length <= PARTS_MAX) return parts.join(", ");
  return `${parts.length} ranges inside: ${parts.slice(0, PARTS_MAX - 1).join(", ")}, … ${parts.at(-1)}`;
}

function toAudit({ auditHead }: Posture): string[] {
  if (auditHead === null) return ["", "AUDIT LOG: none yet"];
  return [
    "",
    `AUDIT LOG: ${toCount(auditHead.seq, "entry", "entries")}, the last ${toMinute(auditHead.at)}`,
    ...toRow("  head", LABEL, auditHead.sha256),
    ...toRow("", LABEL, "`oxydra audit verify` proves that nothing was changed"),
  ];
}

function toDegraded({ degraded }: Posture): string[] {
  return [
    "",
    degraded.length === 0 ? "DEGRADED: nothing" : "DEGRADED",
    ...degraded.flatMap(({ code, why }) => toRow(`  ${code}`, 22, why)),
  ];
}

function toOrigin({ layer, file, line, variable }: Origin): string {
  if (layer === "default") return "";
  if (layer === "flag") return " (command line)";
  if (variable !== undefined) return ` (from ${variable})`;
  return file === undefined ? ` (${layer})` : ` (${file}${line === undefined ? "" : `:${line}`})`;
}

function toAmount(most: number, rule: string): string {
  if (rule.startsWith("fs.list")) return toCount(most, "entry", "entries");
  if (most >= 1_048_576) return `${Math.round(most / 1_048_576)} MiB`;
  return toCount(most, "byte");
}
