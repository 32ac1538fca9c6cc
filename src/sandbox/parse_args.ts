import type { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Tool } from "#/core/tool.ts";
import { cutBytes } from "#/lib/cut_bytes.ts";

const ISSUES_MAX = 20;
const ISSUE_BYTES_MAX = 400;
const encoder = new TextEncoder();

/**
 * The arguments as the tool declares them. Throws AppError `tool_args_too_large` over `argsBytesMax`, `tool_args_invalid` naming
 * each wrong field by its path.
 */
export function parseArgs(tool: Tool, args: unknown): unknown {
  if (isTooDeep(args)) {
    throw new AppError("tool_args_invalid", `The arguments are nested more than ${LIMITS.argsDepthMax} deep`);
  }
  if (encoder.encode(JSON.stringify(args) ?? "").length > LIMITS.argsBytesMax) {
    throw new AppError("tool_args_too_large", `The arguments are larger than ${LIMITS.argsBytesMax} bytes`);
  }
  const parsed = tool.args.safeParse(args);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const lines = issues.slice(0, ISSUES_MAX).map(toLine);
  if (issues.length > ISSUES_MAX) lines.push(`… and ${issues.length - ISSUES_MAX} more`);
  throw new AppError("tool_args_invalid", `The arguments of ${tool.name} are wrong:\n${lines.join("\n")}`);
}

/** By a list of what is still to be seen, not by recursion: what nests too deep would overflow the stack of this very check. */
function isTooDeep(args: unknown): boolean {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value: args, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth >= LIMITS.argsDepthMax) return true;
    for (const member of Object.values(value)) open.push({ value: member, depth: depth + 1 });
  }
  return false;
}

/** A key of the model's own may be of any length: cut. */
function toLine(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join(".") || "(arguments)";
  return `- ${cutBytes(path, ISSUE_BYTES_MAX)}: ${cutBytes(issue.message, ISSUE_BYTES_MAX)}`;
}
