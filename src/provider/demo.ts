import type { Message, ToolCall } from "#/core/message.ts";
import type { ModelEvent, ModelRequest } from "#/core/provider.ts";
import { parsePrompt } from "#/provider/demo_parse.ts";
import type { DemoStep } from "#/provider/demo_rules.ts";
import { writePiece } from "#/provider/demo_text.ts";
import { toJsonArguments } from "#/provider/tool_arguments.ts";
import type { WarmProvider } from "#/provider/warm_provider.ts";

/** A tool call that a step wants. */
interface Wanted {
  readonly tool: string;
  readonly args: Readonly<Record<string, string | boolean>>;
}

/** How one call went, as the model sees it. */
interface Result {
  readonly ok: boolean;
  readonly text: string;
}

/** One step and how it went. */
interface Progress {
  readonly step: DemoStep;
  readonly result: Result;
}

const QUOTE_CHARS_MAX = 4_000;

/** What the demo says about itself when it did not understand. */
export const DEMO_HELP =
  `I am the demo model: no network, no language model, only a fixed handful of requests about files:

- write a haiku (poem, note) about TOPIC to PATH
- write "TEXT" to PATH
- read PATH, list FOLDER, delete PATH
- search for "TEXT" in FOLDER
- replace "OLD" with "NEW" in PATH

Join them with "then", for example: write a haiku about rivers to /shared/haiku.txt, then read it back

For a real model: oxydra setup, or export OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, and start again.
Or choose one in the configuration: [selection] provider and model in .oxydra/agent.toml`;

const DONE: ModelEvent = { type: "done", finishReason: "stop" };
const DEMO_LINE = "(This was the demo model. For a real one: oxydra setup)";

/**
 * A model without a model: it understands the requests of `DEMO_HELP`, drives the file tools in several steps through the same loop as
 * any other, and says what it is. It keeps no state: the conversation tells it where it is. `newId` makes ids of tool calls.
 */
export function openDemo(options: { readonly newId?: () => string } = {}): WarmProvider {
  const newId = options.newId ?? (() => `demo_${crypto.randomUUID().slice(0, 13)}`);
  return {
    name: "demo",
    warm: () => Promise.resolve(),
    async *stream(request, signal) {
      for (const event of planReply(request, newId)) {
        // Between two deltas others get their turn, as with a model that streams.
        await Promise.resolve();
        if (signal.aborted) return yield { type: "failed", code: "cancelled", message: "cancelled", retryable: false };
        yield event;
      }
    },
  };
}

/** The whole reply to a conversation. Pure but for `newId`. */
export function planReply(request: ModelRequest, newId: () => string): ModelEvent[] {
  const asked = request.messages.findLastIndex((message) => message.role === "user");
  const prompt = request.messages[asked];
  const plan = parsePrompt(prompt?.role === "user" ? prompt.content : "", lastPath(request.messages.slice(0, asked)));
  if (!plan.understood) {
    const about = plan.part === "" ? "" : `I do not understand "${shorten(plan.part)}".\n\n`;
    return [...toDeltas(about + DEMO_HELP), DONE];
  }
  const results = request.messages.slice(asked + 1).flatMap((message): Result[] =>
    message.role === "tool" ? [{ ok: message.ok, text: message.content }] : []
  );
  const { next, finished, stopped } = follow(plan.steps, results);
  if (next && request.tools.every((tool) => tool.name !== next.tool)) {
    const missing = `I would need the tool ${next.tool} for this, and it is not offered here.`;
    return [...toDeltas([...finished.map(report), missing, DEMO_LINE].join("\n\n")), DONE];
  }
  if (next) {
    const call: ToolCall = { id: newId(), name: next.tool, arguments: JSON.stringify(next.args) };
    const said = toDeltas(`${announce(next)}\n`);
    return [...said, { type: "tool_call", call }, { type: "done", finishReason: "tool_calls" }];
  }
  const failure = stopped ? [reportFailure(stopped, plan.steps.length > finished.length + 1)] : [];
  const parts = [...finished.map(report), ...failure];
  return [...toDeltas([...parts, DEMO_LINE].join("\n\n")), DONE];
}

/** Deals the results out to the steps in order: each wants one call. */
function follow(
  steps: readonly DemoStep[],
  results: readonly Result[],
): { next?: Wanted; finished: Progress[]; stopped?: Progress } {
  const finished: Progress[] = [];
  for (const [at, step] of steps.entries()) {
    const result = results[at];
    if (!result) return { next: toCall(step), finished };
    if (!result.ok) return { finished, stopped: { step, result } };
    finished.push({ step, result });
  }
  return { finished };
}

function toCall(step: DemoStep): Wanted {
  const { path } = step;
  switch (step.do) {
    case "compose":
      return { tool: "file_write", args: { path, content: writePiece(step.piece, step.topic) } };
    case "write":
      return { tool: "file_write", args: { path, content: step.text } };
    case "read":
      return { tool: "file_read", args: { path } };
    case "list":
      return { tool: "file_list", args: { path, ...(step.recursive ? { recursive: true } : {}) } };
    case "search":
      return { tool: "file_search", args: { path, pattern: step.pattern, ...(step.regex ? { regex: true } : {}) } };
    case "replace":
      return { tool: "file_edit", args: { path, old_text: step.from, new_text: step.to, replace_all: true } };
    case "delete":
      return { tool: "file_delete", args: { path } };
  }
}

function announce({ tool, args }: Wanted): string {
  return `I ${tool.replace("file_", "")} ${args["path"]}.`;
}

function report({ step, result: { text } }: Progress): string {
  switch (step.do) {
    case "compose":
      return `I wrote a ${step.piece}${step.topic === "" ? "" : ` about ${shorten(step.topic)}`} to ${step.path}.`;
    case "write":
      return `I wrote ${step.path}.`;
    case "read":
      return `${step.path} says:\n\n${quote(text)}`;
    case "list":
      return `${step.path} holds:\n\n${quote(text)}`;
    case "search":
      return `The search for "${shorten(step.pattern)}" in ${step.path} found:\n\n${quote(text)}`;
    case "replace":
      return `I replaced "${shorten(step.from)}" with "${shorten(step.to)}" in ${step.path}.`;
    case "delete":
      return `I deleted ${step.path}.`;
  }
}

function reportFailure({ step, result }: Progress, isMore: boolean): string {
  const rest = isMore ? " I did not go on with the rest." : "";
  return `That did not work (${step.do} ${step.path}): ${result.text}${rest}`;
}

/** A fence longer than any in the text, so that the text stays one block. */
function quote(text: string): string {
  const cut = text.length > QUOTE_CHARS_MAX ? `${text.slice(0, QUOTE_CHARS_MAX)}\n[cut]` : text;
  const longest = Math.max(2, ...(cut.match(/`+/g) ?? []).map((ticks) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${cut.replace(/\n$/, "")}\n${fence}`;
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** One delta per word. */
function toDeltas(text: string): ModelEvent[] {
  return text.split(/(?<=\s)(?=\S)/).map((part): ModelEvent => ({ type: "text", text: part }));
}

/** The path of the last file tool call before this turn: what "it" means. */
function lastPath(messages: readonly Message[]): string | undefined {
  const calls = messages.flatMap((message) => message.role === "assistant" ? message.toolCalls : []);
  return calls.map((call) => JSON.parse(toJsonArguments(call)).path).findLast((path) => typeof path === "string");
}
