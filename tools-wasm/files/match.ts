import { ToolFailure } from "../sdk/execute.ts";
import { planPrefilter } from "./prefilter.ts";
import { countLines } from "./text.ts";

/** One line with a match. Offsets are UTF-16 units of the text; `at` is where the first match of that line starts. */
export interface Hit {
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** Offset of the next match at or after `from`, or -1. */
export type Matcher = (text: string, from: number) => number;

/** Arguments that decide what matches. */
export interface MatchArgs {
  readonly pattern: string;
  readonly regex?: boolean;
  readonly case_sensitive?: boolean;
}

/** Compiles what to look for. Throws ToolFailure `tool_args_invalid` for a broken regular expression. */
export function toMatcher(args: MatchArgs): Matcher {
  const folded = args.regex === true && args.pattern.startsWith("(?i)");
  const source = folded ? args.pattern.slice(4) : args.pattern;
  const sensitive = args.case_sensitive !== false && !folded;
  if (args.regex !== true) {
    if (sensitive) return (text, from) => text.indexOf(source, from);
    return toRegexMatcher(
      toRegex(source.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "gim"),
    );
  }
  const regex = toRegex(source, sensitive ? "gm" : "gim");
  const { literal, lineLocal } = sensitive ? planPrefilter(source) : { literal: "", lineLocal: false };
  if (literal === "") return toRegexMatcher(regex);
  if (lineLocal) return toLineMatcher(toRegex(source, "m"), literal);
  const whole = toRegexMatcher(regex);
  return (text, from) => text.indexOf(literal, from) < 0 ? -1 : whole(text, from);
}

/** The lines of one text that hold a match, at most `hitsMax`, each once. */
export function findHits(
  text: string,
  matcher: Matcher,
  hitsMax: number,
): Hit[] {
  const hits: Hit[] = [];
  let line = 1;
  let counted = 0;
  for (let from = 0; hits.length < hitsMax && from <= text.length;) {
    const at = matcher(text, from);
    // A match of nothing behind the last line feed is on no line.
    if (at < 0 || (at === text.length && (at === 0 || text[at - 1] === "\n"))) {
      break;
    }
    const start = at === 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
    const feed = text.indexOf("\n", at);
    const end = feed < 0 ? text.length : feed;
    line = countLines(text, counted, line, start);
    counted = start;
    hits.push({ line, start, end, at });
    from = end + 1;
  }
  return hits;
}

function toRegex(source: string, flags: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ToolFailure(
      "tool_args_invalid",
      `pattern is not a valid regular expression: ${reason}`,
    );
  }
}

function toRegexMatcher(regex: RegExp): Matcher {
  return (text, from) => {
    regex.lastIndex = from;
    return regex.exec(text)?.index ?? -1;
  };
}

/** Tries only the lines that hold `literal`. */
function toLineMatcher(regex: RegExp, literal: string): Matcher {
  return (text, from) => {
    for (let near = text.indexOf(literal, from); near >= 0;) {
      const start = near === 0 ? 0 : text.lastIndexOf("\n", near - 1) + 1;
      const feed = text.indexOf("\n", near);
      const end = feed < 0 ? text.length : feed;
      const found = regex.exec(text.slice(start, end));
      if (found !== null) return start + found.index;
      near = text.indexOf(literal, end);
    }
    return -1;
  };
}
