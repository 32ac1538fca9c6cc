import type { Redact } from "#/turn/scrub_word.ts";

/** What names of secrets end in. */
const NAMES = [
  "(?:api|access|secret|private|signing|encryption|account)[_-]?key",
  "client[_-]?secret",
  "(?:access|refresh|auth|session|bot)[_-]?token",
  "pass(?:word|wd|phrase)",
  "secret",
  "token",
  "credentials?",
].join("|");

/** The character behind such a name. Looked for by that character, then backwards: most texts have few. */
const AFTER_LABEL = new RegExp(`[^\\w-](?<=(?<!REDACTED:)(${NAMES})[^\\w-])`, "gi");

/** Tokens that are no secrets: of paging, of programs and of language models. */
const NO_SECRET_BEFORE =
  /(?:page|next|prev|continuation|cancell?ation|sync|cursor|eos|bos|pad|unk|sep|mask|stop)[_-]?$/i;

/** From behind the name to its value: the end of its own quotes, and what connects them. */
const TAIL =
  /(?:["'`\]\\]{0,4}[ \t]{0,16}(:=|=>|={1,3}|:|is(?=[ \t]))|>|(?=[ \t]))[ \t]{0,16}(?:[bBrRuUf]{0,2}(?=["']))?/y;
/** A type between the name and its value, as TypeScript and Rust write it. */
const ANNOTATION = /[&A-Za-z][\w.<>|'& ]{0,40}=[ \t]{0,4}(?=["'`])/y;
const UNQUOTED = /[^\s"'`<>&,;(){}[\]|\\]+/y;
const UNQUOTED_LINE = /[^\s"'`]+(?=[ \t]*(?:\r?\n|$| #| \/\/))/y;

/** How a value stands in its text. */
type Form = "quoted" | "strict" | "loose";

/** Replaces the values of labelled secrets: `.env`, JSON, YAML, TOML, INI, XML, shells, flags, URL queries, program text. */
export function replaceLabelled(text: string, redact: Redact): string {
  const parts: string[] = [];
  let readTo = 0;
  AFTER_LABEL.lastIndex = 0;
  for (let match = AFTER_LABEL.exec(text); match !== null; match = AFTER_LABEL.exec(text)) {
    const label = match[1]!;
    const value = findValue(text, match.index, label);
    if (value === undefined) continue;
    if (!isSecret(text.slice(value.start, value.end), label, value.form)) {
      // Never read twice: a megabyte of `token:token:` stays linear. A quoted value ends at the next quote anyway, and may quote a label.
      if (value.form !== "quoted") AFTER_LABEL.lastIndex = value.end;
      continue;
    }
    parts.push(text.slice(readTo, value.start), redact(toName(label)));
    readTo = value.end;
    AFTER_LABEL.lastIndex = readTo;
  }
  return parts.join("") + text.slice(readTo);
}

/** `apiKey`, `API-KEY` and `api_key` are one name. */
function toName(label: string): string {
  return label.toLowerCase().replaceAll("-", "_").replace(/([a-z])(?=(?:key|token)$|(?<=client)secret$)/, "$1_");
}

/** Characters before a label that are looked at. */
const BEFORE_CHARS_MAX = 64;

function findValue(
  text: string,
  labelEnd: number,
  label: string,
): { start: number; end: number; form: Form } | undefined {
  const labelAt = labelEnd - label.length;
  // The start of the text begins a line, the start of a piece of it does not.
  const before = labelAt > BEFORE_CHARS_MAX
    ? `\0${text.slice(labelAt - BEFORE_CHARS_MAX, labelAt)}`
    : text.slice(0, labelAt);
  if (NO_SECRET_BEFORE.test(before)) return undefined;
  const tail = matchAt(TAIL, text, labelEnd);
  if (tail === null) return undefined;
  const connector = tail[1] ?? (tail[0].startsWith(">") ? ">" : "");
  const isFlag = /(?:^|\s|["'])--?[\w-]*$/.test(before);
  if (connector === ">" && !/<[\w.:-]*$/.test(before)) return undefined;
  if (connector === "" && !isFlag) return undefined;
  let start = labelEnd + tail[0].length;
  if (connector === ":") start += matchAt(ANNOTATION, text, start)?.[0].length ?? 0;
  const quote = /^\\?["'`]/.exec(text.slice(start, start + 2))?.[0];
  if (quote !== undefined) {
    return { start: start + quote.length, end: endOfQuoted(text, start + quote.length, quote), form: "quoted" };
  }
  // What is only compared is no value.
  if (connector.length > 1 && connector[0] === "=") return undefined;
  const isTight = tail[0] === "=" || connector === ">";
  const isLine = /(?:^|\n)(?:export |set |ENV |[ \t]*- )?[ \t]*[\w.-]*$/.test(before) && /^[=:]$/.test(connector);
  const line = isLine ? matchAt(UNQUOTED_LINE, text, start)?.[0] : undefined;
  if (line !== undefined) {
    const isStrict = isTight && /(?:^|\n)(?:export |set |ENV )?[\w.-]*$/.test(before);
    return { start, end: start + line.length, form: isStrict ? "strict" : "loose" };
  }
  const value = matchAt(UNQUOTED, text, start)?.[0] ?? "";
  const end = start + value.length;
  // A call, an index, a type with parameters, and the end of an element that is none.
  const isElement = text.startsWith("</", end);
  if (value === "" || /[([{<]/.test(text[end] ?? "") && !isElement || connector === ">" && !isElement) return undefined;
  const isQuery = connector === "=" && /[?&][\w.-]*$/.test(before);
  return { start, end, form: isTight && (isFlag || isQuery || connector === ">") ? "strict" : "loose" };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** The closing quote, or the end of the line when there is none: output may be cut. */
function endOfQuoted(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\n" || char === "\r" || char === quote[quote.length - 1]) return at;
    if (char === "\\") {
      // Inside an escaped string its own end is escaped, too.
      if (quote.length > 1) return at;
      at++;
    }
  }
  return text.length;
}

/** What stands in the place of a secret: a variable, a template, a stand-in, a constant of a program. */
const STAND_IN =
  /^(?:\$[{(\w]|%[A-Z_]+%|%[sdv]|[<{[(]|\*{3}|\.{3}|…|!\w|x{3,}|[-_#*.:]+$|(?:your|enter|insert|change|replace|example|dummy|sample|placeholder|redacted)(?:[-_ ]|$)|(?:null|none|nil|undefined|true|false|yes|no|required|optional|string|str|number|integer|int|boolean|bool|bytes?|text|object|any|unknown|hidden|masked|include|omit|same-origin|bearer|basic|digest|invalid|missing|expired)$)/i;
const TEMPLATE = /\$\{|\{\{|\$\(|#\{|%\(|\[REDACTED:|<[\w -]{1,40}>/;
const TYPE = /^(?:u?int|float|uint|utf|base|sha|md|aes|rsa|hmac|oauth)[-_]?\d+[-_\w]*$/i;
const ENV_NAME = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;
const MEMBER = /^[A-Za-z_$][\w$]*(?:(?:\?\.|\.|::|->)[A-Za-z_$][\w$]*)+[;,!?]*$/;
const CALL = /^[A-Za-z_$][\w$.:]*[([]/;
const PATH = /^(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.@ -]*(?:[/\\][\w.@ -]+)*$|^[\w.-]+(?:\/[\w.-]+)*\.[a-z]{2,4}$/;
const NAMED_AFTER_SECRET = new RegExp(
  `^[^\\d]*(?:${NAMES}|key|pwd|pass)s?\\d?(?:[_-](?:env|file|path|name))?[;,!?]*$`,
  "i",
);
const PROSE =
  /^[A-Z][a-z]|[.?!:,](?:\s|$)|\b(?:your|the|an?|is|not|for|of|to|must|with|and|or|password|token|secret|key)\b/;

/** Lower-case words: of an enumeration, of a message. */
const KEYWORDS = /^[a-z]+(?:[_-][a-z]+)+$/;

/** Shorter values are words; a key or token is longer than a password. */
function charsMinOf(label: string): number {
  return /^(?:pass|secret$)/i.test(label) ? 4 : 8;
}

function isSecret(value: string, label: string, form: Form): boolean {
  if (value.length < charsMinOf(label) || STAND_IN.test(value) || TEMPLATE.test(value)) return false;
  if (/^https?:\/\//.test(value) || PATH.test(value) && !/[A-Za-z0-9+/]{32}/.test(value)) return false;
  if (ENV_NAME.test(value) || TYPE.test(value) || NAMED_AFTER_SECRET.test(value)) return false;
  if (form === "quoted") {
    // The quote ended a string, and what follows is the program.
    if (/^[\s,);]|^\+\w*\+?$|\s$/.test(value)) return false;
    if (KEYWORDS.test(value) && !/^pass|secret$/i.test(label)) return false;
    if (/\s/.test(value)) return !PROSE.test(value);
    return !(MEMBER.test(value) && !/\d/.test(value)) && !(CALL.test(value) && value.endsWith(")"));
  }
  if (MEMBER.test(value) || CALL.test(value)) return false;
  if (form === "strict") return !value.endsWith(",");
  // Only letters are a word or a variable; only digits a count, unless it is a password.
  if (!/\d/.test(value)) return /[A-Za-z][@#$%^*!][A-Za-z]/.test(value);
  return /[A-Za-z]/.test(value) || /^pass/i.test(label);
}

const AUTHORIZATION =
  /((?<!REDACTED:)authorization["'`\]\\]{0,3}[ \t]{0,8}[:=,][ \t]{0,8}\\?["'`]?(?:(?:basic|bearer|token|apikey|bot)[ \t]{1,8})?)([^\s"'`\\,;]+)/gi;
const BEARER = /(bearer[ \t]{1,8})([\w.~+/=-]{16,})/gi;
const COOKIE_TAIL =
  'cookie["\'`\\\\]{0,2}[ \\t]{0,8}:[ \\t]{0,8}\\\\?["\'`]?)([\\w!#$%&*+.^|~-]{1,128}=(?:"[^"\\r\\n]*"|[^';
const COOKIE = new RegExp(`((?<!set-)${COOKIE_TAIL}\\r\\n"'\`\\\\]*))`, "gi");
/** The attributes behind the first `;` are no secret. */
const SET_COOKIE = new RegExp(`(set-${COOKIE_TAIL};\\r\\n"'\`\\\\]*))`, "gi");

/** Replaces what the headers Authorization, Cookie and Set-Cookie hold, wherever they are quoted. */
export function replaceHeaders(text: string, redact: Redact): string {
  const toCookie = (all: string, before: string, value: string) =>
    TEMPLATE.test(value) ? all : before + redact("cookie");
  return text
    .replace(AUTHORIZATION, (all, before: string, value: string) => {
      const hasScheme = /[ \t]$/.test(before) && /(?:basic|bearer|token|apikey|bot)[ \t]+$/i.test(before);
      const isValue = hasScheme ? value.length >= 6 : value.length >= 16 && /\d/.test(value) && !/[([]/.test(value);
      return isValue && !isStandIn(value) ? before + redact("authorization") : all;
    })
    .replace(
      BEARER,
      (all, before: string, value: string) =>
        /\d/.test(value) && !isStandIn(value) ? before + redact("authorization") : all,
    )
    .replace(SET_COOKIE, toCookie).replace(COOKIE, toCookie);
}

function isStandIn(value: string): boolean {
  return STAND_IN.test(value) || TEMPLATE.test(value) || ENV_NAME.test(value);
}
