/** What a word of a clause is read with. */
export interface WordContext {
  /** Texts that stood in quotes, see `hideQuotes`. */
  readonly quotes: readonly string[];
  /** What "it" means. */
  readonly last: string | undefined;
}

// Quoted text becomes one private-use character that carries its number, so that no rule looks inside it.
const HIDDEN_FROM = 0xe000;
const HIDDEN_MAX = 0x1000;
const HIDDEN = /[\ue000-\uefff]/g;

/** Takes quoted texts out of a prompt; each leaves one character, so that no rule looks inside. Fills `quotes`. */
export function hideQuotes(prompt: string, quotes: string[]): string {
  const plain = prompt.replace(HIDDEN, " ");
  return plain.replace(/"([^"]*)"|“([^”]*)”|`([^`]+)`|(?<=^|[\s(:])'([^']*)'(?=$|[\s,;.!?):])/g, (whole, ...groups) => {
    if (quotes.length >= HIDDEN_MAX) return whole;
    quotes.push(groups.slice(0, 4).find((group) => group !== undefined) ?? "");
    return String.fromCharCode(HIDDEN_FROM + quotes.length - 1);
  });
}

/** The text with its quotes back in place, with quotation marks or without. */
export function unhide(text: string, quotes: readonly string[], marks = false): string {
  return text.replace(HIDDEN, (char) => {
    const quoted = quotes[char.charCodeAt(0) - HIDDEN_FROM] ?? "";
    return marks ? `"${quoted}"` : quoted;
  });
}

/** True for a word that looks like a path, or was quoted. */
export function isPathLike(word: string): boolean {
  return /[/~\ue000-\uefff]/.test(word) || /[^.]\.[\p{L}\p{N}]/u.test(word);
}

/** True for the name of a root without its slash. */
export function isRootWord(word: string): boolean {
  return /^\/?(shared|tmp|vault)\/?$/i.test(word);
}

/** A word as a virtual path, or undefined when it names no file. */
export function toPath(word: string, context: WordContext, anyWord = false): string | undefined {
  if (/^(?:it|that|this|them|there|file)$/i.test(word)) return context.last;
  if (!anyWord && !isPathLike(word)) return undefined;
  return toAbsolute(unhide(word, context.quotes).trim());
}

/** A word as a virtual folder; `/shared` when it names none. */
export function toFolder(word: string, context: WordContext): string {
  const text = unhide(word, context.quotes).trim();
  if (/^(?:it|that|there)$/i.test(text) && context.last) return context.last;
  if (/^(?:here|it|workspace|everywhere|files|\.)$/i.test(text)) return "/shared";
  const path = toAbsolute(text.replace(/(?<=.)\/+$/, ""));
  return path.replace(/^\/shared\/(shared|tmp|vault)$/i, "/$1");
}

function toAbsolute(text: string): string {
  if (text.startsWith("/") || text.startsWith("~")) return text;
  const relative = text.replace(/^(?:\.\/)+/, "");
  return /^(?:shared|tmp|vault)\//.test(relative) ? `/${relative}` : `/shared/${relative}`;
}

/** Takes "to PATH", "as NAME in FOLDER", "in a file called NAME" from the end of a clause. */
export function takePath(text: string, context: WordContext): { rest: string; path?: string } {
  const to = "(?:to|into|in|as|at|under|inside|called|named)";
  const noun = "(?:(?:an?|the|my)\\s+)?(?:new\\s+)?(?:(?:text\\s+)?file\\s+)?(?:(?:called|named)\\s+)?";
  const into =
    /^(.*?)\s*\b(?:to|into|in)\s+(?:the\s+)?(?:folder|directory)\s+(\S+)\s+(?:as|in|under|called|named)\s+(\S+)$/i.exec(
      text,
    );
  if (into && isPathLike(into[3]!)) {
    return { rest: into[1]!, path: `${toFolder(into[2]!, context)}/${unhide(into[3]!, context.quotes)}` };
  }
  const folder = new RegExp(
    `^(.*?)\\s*\\b${to}\\s+${noun}(\\S+)\\s+(?:in|inside|under|into)\\s+(?:the\\s+)?(?:(?:folder|directory)\\s+)?(\\S+?)(?:\\s+(?:folder|directory))?$`,
    "i",
  ).exec(text);
  if (folder && isPathLike(folder[2]!) && (isPathLike(folder[3]!) || isRootWord(folder[3]!))) {
    const name = unhide(folder[2]!, context.quotes).replace(/^\/+/, "");
    return { rest: folder[1]!, path: `${toFolder(folder[3]!, context)}/${name}` };
  }
  const plain = new RegExp(`^(.*?)\\s*\\b${to}\\s+(${noun})(\\S+)$`, "i").exec(text);
  if (!plain) return { rest: text };
  // "about life in general" names no file; "to the file general" does.
  if (!isPathLike(plain[3]!) && !/\bfile\b/i.test(plain[2]!)) return { rest: text };
  const path = toPath(plain[3]!, context, true);
  return path ? { rest: plain[1]!, path } : { rest: text };
}
