/** Gives the mark of a secret. */
export type Redact = (label: string) => string;

/** Shapes that vendors document for their keys. Each begins at the border of a word, so that no word is read more than a few times. */
const TOKEN = new RegExp(
  "(?<![A-Za-z0-9])(?:" + [
    String.raw`sk-[\w-]{20,}`,
    String.raw`[rs]k_(?:live|test)_[A-Za-z0-9]{16,}`,
    String.raw`whsec_[A-Za-z0-9+/=]{24,}`,
    String.raw`gh[opsur]_[A-Za-z0-9]{30,}`,
    String.raw`github_pat_\w{22,}`,
    String.raw`glpat-[\w-]{20,}`,
    String.raw`xox[abeoprs]-\d[\w-]{9,}`,
    String.raw`xapp-\d-[\w-]{20,}`,
    String.raw`A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])`,
    String.raw`AIza[\w-]{35,}`,
    String.raw`ya29\.[\w-]{20,}`,
    String.raw`npm_[A-Za-z0-9]{36,}`,
    String.raw`pypi-[\w-]{50,}`,
    String.raw`(?:hf|gsk)_[A-Za-z0-9]{30,}`,
    String.raw`dop_v1_[a-f0-9]{64,}`,
    String.raw`shpat_[a-f0-9]{32,}`,
    String.raw`SG\.[\w-]{16,}\.[\w-]{16,}`,
    String.raw`AGE-SECRET-KEY-1[A-Z0-9]{58,}`,
    // JSON Web Token, RFC 7519: `{"` in base64url twice.
    String.raw`(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`,
  ].join("|") + ")",
  "g",
);
const TOKEN_CHARS_MIN = 16;

/** Replaces tokens of a known shape. */
export function replaceTokens(text: string, redact: Redact): string {
  return replaceWords(text, TOKEN_CHARS_MIN, (word) =>
    word.replace(TOKEN, (token) => {
      // `sk-` begins class names, too.
      const isName = token.startsWith("sk-") && !/(?=[a-z]*\d)[A-Za-z0-9_]{16}/i.test(token);
      return isName ? token : redact("token");
    }));
}

const RANDOM_CHARS_MIN = 24;
const RANDOM_CHARS_MAX = 512;
const PART = /[A-Za-z0-9+/_-]{24,}={0,2}/g;
const BITS_MIN = 3.8;
/** Changes between lower, upper and digit, a character: names have 0.1, random letters and digits 0.4. */
const CHANGES_MIN = 0.17;
/** The same without any separator and capital: names have fewer, base32 has 0.3. */
const CHANGES_ONE_CASE_MIN = 0.14;
/** The same without a digit: camel case with abbreviations has 0.2. */
const CHANGES_LETTERS_MIN = 0.3;

/** Blocks of base64 that are meant for everyone. The body holds no dash, so no block is read twice. */
const PUBLIC_BLOCK =
  /-----BEGIN (?:[A-Z0-9 ]{0,40}CERTIFICATE(?: REQUEST)?|[A-Z0-9 ]{0,40}PUBLIC KEY|PGP SIGNATURE|PGP PUBLIC KEY BLOCK|SSH SIGNATURE)-----[^-]{0,65536}-----END /g;

/** Replaces words of 24 to 512 characters that look random; not hashes, identifiers, paths, public keys or pictures. */
export function replaceRandom(text: string, redact: Redact): string {
  const parts: string[] = [];
  let readTo = 0;
  const readUntil = (end: number) => parts.push(replaceRandomOutside(text.slice(readTo, end), redact));
  for (const { 0: block, index } of text.matchAll(PUBLIC_BLOCK)) {
    readUntil(index);
    parts.push(block);
    readTo = index + block.length;
  }
  readUntil(text.length);
  return parts.join("");
}

/** What stands before base64 that is no secret: a picture in a data URL, a hash of go.sum, a fingerprint of a public key. Itself too short to be replaced. */
const PUBLIC_BEFORE = /(?<![A-Za-z0-9+/_=.~-])(?:(?:image|font|audio|video)\/[a-z.+-]{1,18}\d?;base64,|h1:|SHA256:)$/;
const BEFORE_CHARS_MAX = 64;

function replaceRandomOutside(text: string, redact: Redact): string {
  return replaceWords(
    text,
    RANDOM_CHARS_MIN,
    (word, at) =>
      PUBLIC_BEFORE.test(text.slice(Math.max(0, at - BEFORE_CHARS_MAX), at))
        ? word
        : word.replace(PART, (part) => PUBLIC_START.test(part) ? part : replacePart(part, redact)),
  );
}

/** Hashes of package locks, and blobs of public keys of OpenSSH. */
const PUBLIC_START = /^(?:sha(?:1|224|256|384|512)[-_]|AAAA[A-Z]3NzaC1|AAAAE2VjZHNh|AAAAG[A-Z0-9a-z]{3}\w*c3No)/i;

/** One word. When much of it reads like names, its segments are judged, and what is left between the random ones as words of their own. */
function replacePart(part: string, redact: Redact): string {
  const segments = readsLikeNames(part) ? part.split(/(?<=[-_/+=])|(?=[-_/+=])/) : [];
  let [clean, rest] = ["", ""];
  for (const segment of segments) {
    if (!isRandom(segment)) {
      rest += segment;
    } else {
      clean += replaceWhole(rest, redact) + redact("high-entropy");
      rest = "";
    }
  }
  return clean + replaceWhole(segments.length > 0 ? rest : part, redact);
}

function replaceWhole(part: string, redact: Redact): string {
  return !readsLikeNames(part) && isRandom(part.replace(/=+$/, "")) ? redact("high-entropy") : part;
}

function readsLikeNames(part: string): boolean {
  const named = part.split(/[-_/+=]/).filter(isNamed).reduce((sum, segment) => sum + segment.length, 0);
  return named >= NAMED_MIN * part.length;
}

/** A word or a few in camel case, perhaps numbered, a number, or a piece of a hash or UUID. */
function isNamed(segment: string): boolean {
  if (/^(?:\d+|[\da-fA-F]{4,})$/.test(segment)) return true;
  return /^[A-Za-z]{3,}\d{0,2}$/.test(segment) && countChanges(segment) < CHANGES_MIN * segment.length;
}

/** So much of a path, a file name or a list of words is readable, and of base64 hardly ever. */
const NAMED_MIN = 0.35;
const ULID = /^[0-7][\dA-HJKMNP-TV-Z]{25}$/;

/** Letters and digits in a disorder that no name has. */
function isRandom(word: string): boolean {
  if (word.length < RANDOM_CHARS_MIN || word.length > RANDOM_CHARS_MAX) return false;
  if (/^(?:[\da-fA-F]+|[A-Z]+|[a-z]+)$/.test(word) || ULID.test(word)) return false;
  const isOneCase = /^(?:[A-Z\d]+|[a-z\d]+)$/.test(word);
  const changesMin = isOneCase ? CHANGES_ONE_CASE_MIN : /\d/.test(word) ? CHANGES_MIN : CHANGES_LETTERS_MIN;
  return countChanges(word) >= changesMin * word.length && bitsOf(word) >= BITS_MIN;
}

/** Neighbours of different kinds: lower, upper, digit. Where a word of camel case begins is none. */
function countChanges(word: string): number {
  return word.match(/[A-Za-z](?=\d)|\d(?=[a-z])|[a-z\d](?=[A-Z](?![a-z]{2}))/g)?.length ?? 0;
}

/** Shannon's entropy of the characters, in bits each. */
function bitsOf(word: string): number {
  const counts = new Map<string, number>();
  for (const char of word) counts.set(char, (counts.get(char) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum - count / word.length * Math.log2(count / word.length), 0);
}

/** What words are made of: base64 in both alphabets, and the dots of a JWT. */
const WORD_CHARS = Uint8Array.from(
  { length: 128 },
  (_, code) => /[A-Za-z0-9+/_=.~-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Gives each run of word characters that is long enough to the function, once. */
function replaceWords(text: string, charsMin: number, replace: (word: string, at: number) => string): string {
  const parts: string[] = [];
  let [readTo, start] = [0, 0];
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && WORD_CHARS[text.charCodeAt(at)] === 1) continue;
    if (at - start >= charsMin) {
      parts.push(text.slice(readTo, start), replace(text.slice(start, at), start));
      readTo = at;
    }
    start = at + 1;
  }
  return parts.join("") + text.slice(readTo);
}
