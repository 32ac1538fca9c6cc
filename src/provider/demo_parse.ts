import { type DemoStep, parseClause } from "#/provider/demo_rules.ts";
import { hideQuotes, unhide } from "#/provider/demo_words.ts";

/** What a prompt means to the demo: all of it, or nothing. */
export type DemoPlan =
  | { readonly understood: true; readonly steps: readonly DemoStep[] }
  /** The part that made no sense. */
  | { readonly understood: false; readonly part: string };

/** Steps of one prompt that are read; more are not understood. */
const STEPS_MAX = 20;
/** A prompt, and what is left of it without its quotes: the rules backtrack, so what they read is short. */
const PROMPT_CHARS_MAX = 20_000;
const FLAT_CHARS_MAX = 2_000;
const VERBS =
  "write|compose|create|make|draft|save|store|put|read|show|display|print|open|cat|list|ls|search|find|look|grep|" +
  "replace|change|swap|edit|delete|remove|tell|what";
// A dot joins only before a blank: `todo.list` is one word.
const JOIN =
  `(?:\\s*[,;]+\\s*|\\s*[.!?]+\\s+|\\s+)(?:(?:and|then|also|finally|next|after that|afterwards|please|now),?\\s+)*`;
const HAS_JOIN = /[,;.!?]|\b(and|then|also|finally|next|after|now)\b/i;
const POLITE =
  /^(?:(?:hi|hey|hello|ok|okay|please|now|first|then|and|can you|could you|would you|will you|i want you to|i'd like you to|let's),?\s+)+/i;

/**
 * Reads a prompt as a chain of requests about files, joined by "then", "and" or punctuation. Pure, linear in the prompt. What stands in
 * quotes is taken as it is. `lastPath` is what "it" means at the start. A relative path lies in /shared, `tmp/x` in /tmp.
 */
export function parsePrompt(prompt: string, lastPath?: string): DemoPlan {
  if (prompt.length > PROMPT_CHARS_MAX) return { understood: false, part: prompt };
  const quotes: string[] = [];
  const flat = hideQuotes(prompt, quotes).replace(/\s+/g, " ").trim();
  const clauses = flat.length > FLAT_CHARS_MAX ? [] : splitClauses(flat);
  if (clauses.length === 0 || clauses.length > STEPS_MAX) return { understood: false, part: prompt.trim() };
  const steps: DemoStep[] = [];
  let last = lastPath;
  let focus = "";
  for (const clause of clauses) {
    const found = parseClause(clause, { quotes, last, before: steps.at(-1) });
    focus = found && "focus" in found ? clause : "";
    if (!found) return { understood: false, part: unhide(clause, quotes, true) };
    if ("focus" in found) {
      last = found.focus;
      continue;
    }
    if (found.merge) steps.pop();
    steps.push(found.step);
    if (found.step.do !== "list" && found.step.do !== "search") last = found.step.path;
  }
  // "Edit the file" alone says nothing to do.
  return focus === "" ? { understood: true, steps } : { understood: false, part: unhide(focus, quotes, true) };
}

function splitClauses(flat: string): string[] {
  const clauses: string[] = [];
  let from = 0;
  for (const match of flat.matchAll(new RegExp(`${JOIN}(?=(?:${VERBS})\\b)`, "gi"))) {
    // A bare space before "read" in "how to read" joins nothing.
    if (!HAS_JOIN.test(match[0])) continue;
    clauses.push(flat.slice(from, match.index));
    from = match.index + match[0].length;
  }
  clauses.push(flat.slice(from));
  return clauses.map((clause) => clause.replace(POLITE, "").replace(/[\s,;.!?]+$/, "")).filter((clause) =>
    clause !== ""
  );
}
