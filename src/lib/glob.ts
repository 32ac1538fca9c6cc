import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";

/** Decides on one relative path (`notes/a.txt`). */
export type GlobMatch = (path: string) => boolean;

/**
 * A glob with `*` and `?` (never a slash), `**` (any folders) and `{a,b}`; everything else is literal. `""` takes every file;
 * a glob without a slash is compared with the file's name alone, at any depth. Throws AppError `tool_args_invalid`.
 * Matched by hand, not by a regular expression: a child chooses the glob, and a backtracking pattern would hold the broker.
 */
export function compileGlob(glob: string): GlobMatch {
  if (glob === "") return () => true;
  if (glob.length > LIMITS.pathBytesMax) {
    throw new AppError("tool_args_invalid", `The glob is longer than ${LIMITS.pathBytesMax} characters`);
  }
  const patterns = unfoldBraces(glob).map((one) => one.replace(/^\/+/, "").split("/"));
  return (path) => {
    const parts = path.split("/");
    return patterns.some((pattern) => {
      const named = pattern.length === 1 && pattern[0] !== "**";
      return named ? matchPart(pattern[0]!, parts.at(-1)!) : matchParts(pattern, parts);
    });
  };
}

/** `a{b,c}d` → `abd`, `acd`; nested braces too. A brace without its partner, or without a comma, stands for itself. */
function unfoldBraces(glob: string): readonly string[] {
  const done: string[] = [];
  const queue = [glob];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const group = findGroup(next);
    if (group === undefined) done.push(next);
    else for (const middle of group.choices) queue.push(next.slice(0, group.from) + middle + next.slice(group.to));
    if (done.length + queue.length > LIMITS.globAlternativesMax) {
      throw new AppError("tool_args_invalid", `The glob has more than ${LIMITS.globAlternativesMax} alternatives`);
    }
  }
  return done;
}

/** The first innermost `{…,…}`. */
function findGroup(glob: string): { from: number; to: number; choices: readonly string[] } | undefined {
  const found = /\{([^{}]*,[^{}]*)\}/.exec(glob);
  if (found === null) return undefined;
  return { from: found.index, to: found.index + found[0].length, choices: found[1]!.split(",") };
}

/** Segments with `**`: a row of reachable positions, so the work is pattern × path at most. */
function matchParts(pattern: readonly string[], parts: readonly string[]): boolean {
  let reachable = new Set([0]);
  for (const piece of pattern) {
    const next = new Set<number>();
    for (const at of reachable) {
      if (piece === "**") { for (let to = at; to <= parts.length; to++) next.add(to); }
      else if (at < parts.length && matchPart(piece, parts[at]!)) next.add(at + 1);
    }
    reachable = next;
  }
  return reachable.has(parts.length);
}

/** One segment: after a mismatch only the last `*` is tried again, which is enough for globs and never exponential. */
function matchPart(pattern: string, text: string): boolean {
  let p = 0;
  let star = -1;
  let resume = 0;
  for (let t = 0; t < text.length;) {
    if (pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
