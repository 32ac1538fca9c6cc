import type { ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { ToolCall } from "#/core/message.ts";
import type { ToolSchema } from "#/core/provider.ts";
import type { ToolEffect } from "#/core/tool.ts";
import { nearestName } from "#/lib/nearest.ts";

/** A tool that this turn may use. */
export interface TurnTool {
  readonly schema: ToolSchema;
  readonly effect: ToolEffect;
}

/** A call that goes to the runner, which parses its arguments again with the tool's schema. */
export interface ReadyCall {
  readonly kind: "ready";
  readonly call: ToolCall;
  readonly effect: ToolEffect;
  readonly args: Readonly<Record<string, unknown>>;
}

/** A call that never leaves the loop; `text` tells the model what to change. */
export interface RefusedCall {
  readonly kind: "refused";
  readonly call: ToolCall;
  /** It does nothing, so it may stand among reads. */
  readonly effect: "read_only";
  readonly code: ErrorCode;
  readonly text: string;
}

/** A call after the checks that need no policy. */
export type CheckedCall = ReadyCall | RefusedCall;

/** Characters of a model's own words that are repeated to it. */
const QUOTE_CHARS_MAX = 80;

const encoder = new TextEncoder();

/**
 * Checks what can be checked before the runner is asked: that the tool exists, that the arguments are a JSON object of bounded size
 * and nesting, that the reply (`index` from 0) and the turn (`callsLeft`) have room for the call. No arguments at all mean `{}`: some
 * models leave them out. Pure.
 */
export function checkCall(
  call: ToolCall,
  place: { readonly index: number; readonly callsLeft: number },
  tools: ReadonlyMap<string, TurnTool>,
): CheckedCall {
  const refuse = (code: ErrorCode, text: string): RefusedCall => {
    return { kind: "refused", call, effect: "read_only", code, text };
  };
  if (place.index >= LIMITS.toolCallsPerStepMax) {
    const max = LIMITS.toolCallsPerStepMax;
    return refuse("tool_calls_too_many", `Not run: a reply may hold ${max} calls. Make the rest in the next reply.`);
  }
  const tool = tools.get(call.name);
  if (tool === undefined) return refuse("tool_unknown", unknownTool(call.name, tools));
  if (place.index >= place.callsLeft) {
    return refuse("tool_calls_too_many", "Not run: this turn has no tool calls left. Answer with what you have.");
  }
  const bytes = call.droppedBytes ?? encoder.encode(call.arguments).length;
  if (call.droppedBytes !== undefined || bytes > LIMITS.argsBytesMax) {
    return refuse(
      "tool_args_too_large",
      `Not run: the arguments are ${bytes} bytes, the limit is ${LIMITS.argsBytesMax}. Split the work into several calls.`,
    );
  }
  const parsed = parseArgs(call.arguments);
  if (typeof parsed === "string") return refuse("tool_args_invalid", `Not run: ${parsed}`);
  return { kind: "ready", call, effect: tool.effect, args: parsed };
}

function unknownTool(name: string, tools: ReadonlyMap<string, TurnTool>): string {
  const quoted = JSON.stringify(name.slice(0, QUOTE_CHARS_MAX));
  if (tools.size === 0) return `There is no tool ${quoted}; this turn has no tools.`;
  const nearest = nearestName(name, tools.keys());
  const hint = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
  return `There is no tool ${quoted}.${hint} The tools are: ${[...tools.keys()].join(", ")}.`;
}

/** The arguments, or a sentence that says what is wrong with them. */
function parseArgs(text: string): Record<string, unknown> | string {
  if (text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const end = JSON.stringify(text.slice(-QUOTE_CHARS_MAX));
    return `the arguments are not valid JSON (${error.message}). They end with ${end}. Send one complete JSON object.`;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return "the arguments must be one JSON object.";
  }
  if (isDeeperThan(value, LIMITS.argsDepthMax)) {
    return `the arguments are nested deeper than ${LIMITS.argsDepthMax} levels.`;
  }
  return value as Record<string, unknown>;
}

/** Level by level: a recursive walk would overflow the stack on what it is meant to find. */
function isDeeperThan(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levels) return true;
    level = level.flatMap((entry) => typeof entry === "object" && entry !== null ? Object.values(entry) : []);
  }
  return false;
}
