import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toOneLine } from "#/lib/printable.ts";

/** One mistake. `place` is a file as shown, the name of an environment variable, or `command line`. */
export interface Problem {
  readonly code: "config_invalid" | "config_untrusted";
  readonly place: string;
  /** From 1; absent for a place without lines. */
  readonly line?: number;
  /** Key path as written there; empty when the whole place is meant. */
  readonly key: string;
  /** Says what is wrong and what is expected. Never a value that may be a secret. */
  readonly sentence: string;
}

/**
 * One error for all problems: a line each, `file:line: key: sentence`, in the order given, at most `configProblemsMax` of them.
 * Its code is `config_untrusted` when trust is all that is missing. Text from files is cleaned of control characters.
 */
export function toConfigError(problems: readonly Problem[]): AppError {
  const lines = problems.slice(0, LIMITS.configProblemsMax).map(toLine);
  const more = problems.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  const code = problems.every((problem) => problem.code === "config_untrusted") ? "config_untrusted" : "config_invalid";
  return new AppError(code, lines.join("\n"), { params: { problems: problems.length } });
}

function toLine({ place, line, key, sentence }: Problem): string {
  const where = toOneLine(place, 300) + (line === undefined ? "" : `:${line}`);
  return [where, ...(key === "" ? [] : [toOneLine(key, 160)]), toOneLine(sentence, 600)].join(": ");
}
