import type { Capability, Policy } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { toAddressKind, toEgressTarget } from "#/sandbox/egress_address.ts";

/** What policy says to one thing that an agent could want. */
export interface Answered {
  /** What the agent does, as the end of "when an agent …". */
  readonly question: string;
  /** The session has read from the vault or spent a private secret before. */
  readonly afterPrivate: boolean;
  readonly answer: "allowed" | "asks the owner" | "asks anyone" | "denied";
  /** The rule that decides, or what decides without one. */
  readonly rule: string;
  /** Why, where policy says it; else empty. */
  readonly reason: string;
}

/** What is asked of. */
export interface Judge {
  readonly user: string;
  readonly policy: Policy;
  readonly tools: ReadonlyMap<string, Tool>;
  /** Handles, each with a host where it may be spent. */
  readonly secrets: readonly { readonly name: string; readonly hosts: readonly string[] }[];
  /** Keys of `egress_allowlist`, `host:port`. */
  readonly listed: readonly string[];
  readonly mode: "default" | "strict";
}

/** A question: the tool that would be called, and its arguments, or needs that no tool of today has. */
interface Question {
  readonly text: string;
  readonly tool: string;
  readonly args?: unknown;
  readonly needs?: readonly Capability[];
  readonly isPrivate?: boolean;
}

/** Needs of nearly every call. */
const FREE: ReadonlySet<string> = new Set(["config", "clock", "random", "log"]);

const PAGE = "https://example.com/";

const FILES: readonly Question[] = [
  { text: "reads a file in /shared", tool: "file_read", args: { path: "/shared/a.txt" } },
  { text: "writes a file in /shared", tool: "file_write", args: { path: "/shared/a.txt", content: "" } },
  { text: "deletes a file in /shared", tool: "file_delete", args: { path: "/shared/a.txt" } },
  { text: "reads a file in /tmp", tool: "file_read", args: { path: "/tmp/a.txt" } },
  { text: "writes a file in /tmp", tool: "file_write", args: { path: "/tmp/a.txt", content: "" } },
  { text: "lists the vault", tool: "file_list", args: { path: "/vault" } },
  { text: "reads a file in the vault", tool: "file_read", args: { path: "/vault/key" } },
  { text: "writes a file in the vault", tool: "file_write", args: { path: "/vault/key", content: "" } },
  {
    text: "copies a file out of the vault",
    tool: "vault_copyto",
    args: { source_path: "/vault/key", destination_path: "/shared/key" },
  },
  { text: "saves what you attached", tool: "attachment_save", args: { index: 0, path: "/shared/a" } },
  { text: "reads any other file here", tool: "file_read", args: { path: "/etc/passwd" } },
];

const WEB: readonly Question[] = [
  { text: "fetches a public page", tool: "web_fetch", args: { url: PAGE } },
  { text: "fetches a public page", tool: "web_fetch", args: { url: PAGE }, isPrivate: true },
  { text: "searches the web", tool: "web_search", args: { query: "rivers" } },
  { text: "searches the web", tool: "web_search", args: { query: "rivers" }, isPrivate: true },
  { text: "sends data (POST) to a public host", tool: "web_fetch", needs: [toNeed(PAGE, "POST")] },
  { text: "asks a public host at port 8080", tool: "web_fetch", args: { url: "http://example.com:8080/" } },
  { text: "asks this machine (127.0.0.1)", tool: "web_fetch", args: { url: "http://127.0.0.1/" } },
  { text: "asks your network (192.168.1.1)", tool: "web_fetch", args: { url: "http://192.168.1.1/" } },
];

const OTHERS: readonly Question[] = [
  { text: "runs a command", tool: "shell_exec", args: { command: "ls" } },
  { text: "lets a command reach a host", tool: "shell_exec", args: { command: "ls", network: ["example.com:443"] } },
  { text: "opens a page in the browser", tool: "browser", args: { action: "navigate", url: PAGE } },
  { text: "clicks in the browser", tool: "browser", args: { action: "act", kind: "click", ref: "e1" } },
];

/** Asks the policy in force what an agent can do unasked, asked, and not at all. Pure. */
export function answerQuestions(judge: Judge): readonly Answered[] {
  const secrets = judge.secrets.map(({ name, hosts }): Question => ({
    text: `spends the secret ${name}`,
    tool: name === "web_search" ? "web_search" : "web_fetch",
    needs: [{ kind: "secret", name, hosts }],
  }));
  return [...FILES, ...WEB, ...secrets, ...OTHERS].map((question) => ({
    question: question.text,
    afterPrivate: question.isPrivate ?? false,
    ...answer(question, judge),
  }));
}

function answer(
  { tool: name, args, needs, isPrivate = false }: Question,
  judge: Judge,
): Omit<Answered, "question" | "afterPrivate"> {
  const tool = judge.tools.get(name);
  if (tool === undefined) return { answer: "denied", rule: "there is no such tool", reason: "" };
  try {
    const wanted = needs ?? tool.needs(tool.args.parse(args));
    const refusal = wanted.map((need) => refuseAddress(need, judge)).find((why) => why !== undefined);
    const identity = { name, package: "", version: "", sha256: "" };
    const principal = { user: judge.user, agent: ["default"], origin: "channel" } as const;
    const asked = { principal, tool: identity, needs: wanted, isPrivate, now: 0, timeoutMs: 0, grantId: "" };
    const decision = judge.policy.decide(asked);
    if (decision.kind === "denied") return { answer: "denied", rule: decision.source, reason: decision.reason };
    // What policy lets through, the way out may still refuse.
    if (refusal !== undefined) return { answer: "denied", rule: refusal, reason: "" };
    if (decision.kind === "granted") {
      // Which rule gives the clock and the dice is not what is asked.
      const powers = wanted.filter(({ kind }) => !FREE.has(kind));
      return { answer: "allowed", rule: judge.policy.decide({ ...asked, needs: powers }).source, reason: "" };
    }
    const who = decision.answer === "owner" ? "asks the owner" : "asks anyone";
    return { answer: who, rule: decision.source, reason: decision.reason };
  } catch (error) {
    // The tool itself refuses to say what it would need, whatever the rules are.
    if (error instanceof AppError) return { answer: "denied", rule: `the tool: ${error.code}`, reason: error.message };
    throw error;
  }
}

function refuseAddress(need: Capability, { listed, mode }: Judge): string | undefined {
  if (need.kind !== "http") return undefined;
  const host = need.host.includes(":") ? `[${need.host}]` : need.host;
  const target = toEgressTarget(`${need.scheme}://${host}:${need.port}/`);
  if (listed.includes(target.key)) return undefined;
  if (mode === "strict") return "egress_mode strict";
  const kind = target.isAddress ? toAddressKind(target.host) : "public";
  return kind === "public" ? undefined : `egress: ${kind} address`;
}

function toNeed(url: string, method: "POST"): Capability {
  const bytesDownMax = LIMITS.responseBytesMax;
  return toHttpNeed(url, { methods: [method], scope: "exact", bytesUpMax: 1, bytesDownMax, redirectsMax: 0 });
}
