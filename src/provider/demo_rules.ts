import type { Piece } from "#/provider/demo_text.ts";
import { takePath, toFolder, toPath, unhide, type WordContext } from "#/provider/demo_words.ts";

/** One thing that a prompt asks for. Paths are virtual. */
export type DemoStep =
  | { readonly do: "write"; readonly path: string; readonly text: string }
  | { readonly do: "compose"; readonly piece: Piece; readonly topic: string; readonly path: string }
  | { readonly do: "read"; readonly path: string }
  | { readonly do: "list"; readonly path: string; readonly recursive: boolean }
  | { readonly do: "search"; readonly path: string; readonly pattern: string; readonly regex: boolean }
  | { readonly do: "replace"; readonly path: string; readonly from: string; readonly to: string }
  | { readonly do: "delete"; readonly path: string };

/** What a rule knows besides its clause. */
export interface Context extends WordContext {
  /** The step before. */
  readonly before: DemoStep | undefined;
}

/** `merge`: this clause completes the one before ("a haiku about rivers, save it to x"). `focus`: it only says which file is meant. */
export type Parsed = { readonly step: DemoStep; readonly merge?: boolean } | { readonly focus: string };

type Rule = (clause: string, context: Context) => DemoStep | Parsed | undefined;

/** The first rule that understands a clause. */
export function parseClause(clause: string, context: Context): Parsed | undefined {
  for (const rule of RULES) {
    const found = rule(clause, context);
    if (found) return "do" in found ? { step: found } : found;
  }
  return undefined;
}

const listRule: Rule = (clause, context) => {
  const match =
    /^(?:list|ls|(?:show|tell|print)(?: me)?(?: all)?(?: of)?(?: the)? (?:files|folder|directory|contents of (?:the )?(?:folder|directory))|what(?: files)?(?: is| are|'s) (?:there )?in(?= (?:the )?(?:folder|directory|\S*\/? ?$)))\b(.*)$/i
      .exec(clause);
  if (!match || (/^what/i.test(clause) && /\.\w+\S*$/.test(clause))) return undefined;
  const recursive = /\b(recursive(?:ly)?|all files (?:under|below)|everything|tree)\b/i.test(clause);
  const words = match[1]!.replace(
    /\b(recursive(?:ly)?|all|everything|the|files?|folders?|directory|contents?|of|in|under|below|at|me|there|every|inside)\b/gi,
    " ",
  );
  const path = words.trim();
  if (/\s/.test(path)) return undefined;
  return { do: "list", path: path === "" ? "/shared" : toFolder(path, context), recursive };
};

const searchRule: Rule = (clause, context) => {
  const grep = /^grep (\S+) (\/\S*)$/i.exec(clause);
  const within = /^(?:search|look|grep)(?: in| inside| through)? (\S+) for (.+)$/i.exec(clause);
  const first =
    /^(?:search|look|grep|find)(?: for)? (.+?)(?: (?:in|inside|under|below|within|through) (?:the )?(?:(?:folder|directory|files?|all files) (?:in |under )?(?:the )?)?(\S+)(?: folder| directory)?)?$/i
      .exec(clause);
  const [folder, what] = grep
    ? [grep[2], grep[1]]
    : within
    ? [within[1], within[2]]
    : first
    ? [first[2], first[1]]
    : [undefined, undefined];
  if (what === undefined) return undefined;
  const regex = /\b(?:regex|regexp|regular expression|pattern)\b/i.test(what);
  const bare = what.replace(
    /^(?:all |every )?(?:the )?(?:(?:word|text|string|phrase|lines? (?:with|containing|matching)|regex|regexp|regular expression|pattern|files? (?:with|containing)) )*/i,
    "",
  );
  const path = folder === undefined ? "/shared" : toFolder(folder, context);
  return bare === "" ? undefined : { do: "search", path, pattern: unhide(bare, context.quotes), regex };
};

const replaceRule: Rule = (clause, context) => {
  const led =
    /^(?:edit|change|open|in)(?: the)?(?: file)? (\S+?)[:,]? (?:(?:to|and|by) )?(?:replac(?:e|ing)|chang(?:e|ing)|swap) (.+)$/i
      .exec(clause);
  const body = led ? led[2]! : /^(?:replace|change|swap) (.+)$/i.exec(clause)?.[1];
  const match = body === undefined
    ? null
    : /^(all |every |each )?(?:the )?(?:(?:word|text|line|occurrences? of) )*(.+?) (?:with|by|to|into|for) (?:the (?:word|text|line) )?(.+?)(?: (?:in|inside|within|of) (?:the )?(?:file )?(\S+))?$/i
      .exec(body);
  if (!match) return undefined;
  const path = toPath(led?.[1] ?? match[4] ?? "it", context);
  const [from, to] = [unhide(match[2]!, context.quotes), unhide(match[3]!, context.quotes)];
  return path && from !== "" ? { do: "replace", path, from, to } : undefined;
};

const focusRule: Rule = (clause, context) => {
  const match = /^(?:edit|in)(?: the)?(?: file)?(?: (\S+))?$/i.exec(clause);
  const path = match && toPath(match[1] ?? "it", context);
  return path ? { focus: path } : undefined;
};

const saveItRule: Rule = (clause, context) => {
  const match =
    /^(?:save|write|put|store) (?:it|that|them|this|the \w+) (?:to|in|into|as|at|under) (?:the )?(?:file )?(\S+)$/i
      .exec(clause);
  const path = match && toPath(match[1]!, context);
  const { before } = context;
  if (!path || !before || (before.do !== "compose" && before.do !== "write")) return undefined;
  return { step: { ...before, path }, merge: true };
};

const deleteRule: Rule = (clause, context) => {
  const match = /^(?:delete|remove) (?:the )?(?:file )?(\S+)(?: again)?$/i.exec(clause);
  const path = match && toPath(match[1]!, context);
  return path ? { do: "delete", path } : undefined;
};

const readRule: Rule = (clause, context) => {
  const match =
    /^(?:read|show|display|print|open|cat|tell|what(?:'s| is| does)?)(?: me| us)?(?: back)?(?: in)?(?: the)?(?: contents? of| content of)?(?: the)?(?: file)?(?: (\S+))?(?: back)?(?: to me| aloud| again| says?| contains?)*$/i
      .exec(clause);
  if (!match) return undefined;
  const word = match[1] ?? "it";
  const path = toPath(/^(?:back|file|result|content|contents|haiku|poem|note)$/i.test(word) ? "it" : word, context);
  return path ? { do: "read", path } : undefined;
};

const WRITE = "(?:write|compose|create|make|draft|save|store|put)";

const composeRule: Rule = (clause, context) => {
  const match = new RegExp(
    `^${WRITE}(?: me| us| down)?(?: an?| the| one| another| some)?((?: [\\w-]+){0,3}?) (haiku|poem|verse|note|notes)\\b(.*)$`,
    "i",
  ).exec(clause);
  if (!match) return undefined;
  const piece = /haiku/i.test(match[2]!) ? "haiku" : /note/i.test(match[2]!) ? "note" : "poem";
  const { rest, path } = takePath(match[3]!, context);
  const topic = /^\s*(?:about|on|of|for|called|titled|regarding)\s+(.+)$/i.exec(rest)?.[1] ?? rest;
  return {
    do: "compose",
    piece,
    topic: unhide(topic.replace(/[\s,;:]+$/, ""), context.quotes),
    path: path ?? `/shared/${piece}.txt`,
  };
};

const writeRule: Rule = (clause, context) => {
  const match = new RegExp(`^${WRITE}(?: down)? (.+)$`, "i").exec(clause);
  if (!match) return undefined;
  const named =
    /^(?:(?:an? |the )?(?:new )?(?:text )?file )?(?:called |named |at )?(\S+) (?:with|containing|that says|saying|holding)(?: the)?(?: text| content| contents| line| words?)? (.+)$/i
      .exec(match[1]!);
  const path = named && toPath(named[1]!, context);
  if (path) return { do: "write", path, text: unhide(named[2]!, context.quotes) };
  const taken = takePath(match[1]!, context);
  const text = taken.rest.replace(/^(?:the )?(?:(?:text|line|words?|sentence) )?/i, "").trim();
  // "a limerick about cats" is a wish, not a text to be written as it stands.
  if (!taken.path || text === "" || /^(?:it|that|them|this|me|us|an?|some|something|anything)\b/i.test(text)) {
    return undefined;
  }
  return { do: "write", path: taken.path, text: unhide(text, context.quotes) };
};

const RULES: readonly Rule[] = [
  listRule,
  searchRule,
  replaceRule,
  focusRule,
  saveItRule,
  deleteRule,
  readRule,
  composeRule,
  writeRule,
];
