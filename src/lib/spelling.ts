import { unescapeOnce } from "#/lib/unescape.ts";

/** One way to write a value: for each place the characters that may stand there. */
export type Spelling = readonly string[];

const BASE64 = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "+-", "/_"];
const HEX = [..."0123456789", "aA", "bB", "cC", "dD", "eE", "fF"];
/** Deeper than this no value is escaped. */
const DEPTH = 3;
const CHARS_MIN = 8;
const encoder = new TextEncoder();

/**
 * The value character by character, a space also as `+`. And as `unescapeOnce` makes it: what undoes the escapes around a value undoes
 * those that the value itself seems to hold, and its line breaks, too. Not when that leaves so little that it is found everywhere.
 */
export function toPlainSpellings(value: string): Spelling[] {
  const forms = new Set([value]);
  for (let depth = 0, form = value; depth < DEPTH; depth++) {
    form = unescapeOnce(form).text;
    if (form.length >= Math.min(value.length, CHARS_MIN)) forms.add(form);
  }
  return [...forms].map((form) => form.split("").map((char) => char === " " ? " +" : char));
}

/**
 * The value, and as it stands inside base64 (RFC 4648 §4 and §5, wherever in a triple of bytes it begins) and inside hex of either
 * case; also of its form in JSON and in a URL, for documents that were encoded as a whole.
 */
export function toSpellings(value: string): Spelling[] {
  const forms = new Set([value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value.toWellFormed())]);
  const encoded = [...forms].map((form) => encoder.encode(form)).flatMap((bytes) => [
    ...[0, 1, 2].map((before) => toDigits(bytes, before * 8, 6, BASE64)),
    toDigits(bytes, 0, 4, HEX),
  ]);
  return [...toPlainSpellings(value), ...encoded];
}

/** Bytes as digits of `width` bits after `bitsBefore` unknown bits; a digit with unknown bits is any that agrees with the known ones. */
function toDigits(bytes: Uint8Array, bitsBefore: number, width: number, digits: readonly string[]): Spelling {
  const spelling: string[] = [];
  for (let at = -(bitsBefore % width); at < bytes.length * 8; at += width) {
    let [known, mask] = [0, 0];
    for (let bit = at; bit < at + width; bit++) {
      const byte = bytes[bit >> 3];
      known = known << 1 | ((byte ?? 0) >> (7 - (bit & 7)) & 1);
      mask = mask << 1 | (byte === undefined ? 0 : 1);
    }
    const isKnown = mask === 2 ** width - 1;
    spelling.push(isKnown ? digits[known]! : digits.filter((_, index) => (index & mask) === known).join(""));
  }
  return spelling;
}
