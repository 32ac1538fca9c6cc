import { replaceHeaders, replaceLabelled } from "#/turn/scrub_label.ts";
import { type Redact, replaceRandom, replaceTokens } from "#/turn/scrub_word.ts";

/** A text without what looks like a secret. */
export interface Scrubbed {
  readonly text: string;
  /** How many secrets were replaced. */
  readonly redacted: number;
}

/** Only a text made for it uncovers more than two. */
const ROUNDS_MAX = 4;
const STEPS = [replacePrivateKeys, replaceUserInfo, replaceHeaders, replaceLabelled, replaceTokens, replaceRandom];
/** More than any key holds; an end further away belongs to another begin. */
const KEY_CHARS_MAX = 16_384;

/**
 * Takes secrets out of a tool's output (SPEC §6): labelled ones become `[REDACTED:<label>]`, tokens of known shape `[REDACTED:token]`,
 * random-looking words `[REDACTED:high-entropy]`. What it makes of a text it leaves alone the second time. In time linear in the text,
 * whatever the text. It guesses: the exact values that the runner knows are taken out there.
 */
export function scrubSecrets(text: string): Scrubbed {
  let redacted = 0;
  const redact: Redact = (label) => {
    redacted++;
    return `[REDACTED:${label}]`;
  };
  let clean = text;
  // What was replaced may uncover its neighbour. Texts without a secret are read once.
  for (let [round, before] = [0, -1]; round < ROUNDS_MAX && redacted > before; round++) {
    before = redacted;
    clean = STEPS.reduce((text, step) => step(text, redact), clean);
  }
  return { text: clean, redacted };
}

const KEY_BEGIN = /-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const KEY_END = /-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----/y;
/** A begin without an end: output that was cut. Never further than what a key is written in. */
const KEY_BODY = /[\w+/=\s\\:,."']{0,16384}/y;

function replacePrivateKeys(text: string, redact: Redact): string {
  const parts: string[] = [];
  let [readTo, nextDashes] = [0, -1];
  for (const match of text.matchAll(KEY_BEGIN)) {
    if (match.index < readTo) continue;
    const bodyAt = match.index + match[0].length;
    // Looked for once for all begins before it: a megabyte of begins stays linear.
    if (nextDashes !== Infinity && nextDashes < bodyAt) {
      const found = text.indexOf("-----", bodyAt);
      nextDashes = found === -1 ? Infinity : found;
    }
    const isNear = nextDashes - bodyAt <= KEY_CHARS_MAX;
    KEY_BODY.lastIndex = bodyAt;
    const bodyEnd = isNear ? nextDashes : bodyAt + KEY_BODY.exec(text)![0].trimEnd().length;
    // Documents and programs name the line without a key behind it.
    if (!/[A-Za-z0-9+/]{40}/.test(text.slice(bodyAt, bodyEnd))) continue;
    KEY_END.lastIndex = bodyEnd;
    const end = isNear && KEY_END.test(text) ? KEY_END.lastIndex : bodyEnd;
    parts.push(text.slice(readTo, match.index), redact("private_key"));
    readTo = end;
  }
  return parts.join("") + text.slice(readTo);
}

/** RFC 3986 §3.2.1. */
const USER_INFO = /(:\/\/[^\s/?#:@"'`<>]{0,256}:)([^\s/?#@"'`<>]{3,512})(?=@[\w[])/g;
const NO_PASSWORD = /^(?:pass(?:word|wd)?|pwd|secret|token|x+|\*+|\.+|%s)$|[${}[\]]/i;

function replaceUserInfo(text: string, redact: Redact): string {
  return text.replace(
    USER_INFO,
    (all, before: string, password: string) => NO_PASSWORD.test(password) ? all : before + redact("password"),
  );
}
