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
  const bits = "?".repeat(bitsBefore % width) + [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.padEnd(Math.ceil(bits.length / width) * width, "?").match(new RegExp(`.{${width}}`, "g")) ?? [];
  return groups.map((group) => {
    const mask = parseInt(group.replace(/[01]/g, "1").replaceAll("?", "0"), 2);
    const known = parseInt(group.replaceAll("?", "0"), 2);
    return digits.filter((_, index) => (index & mask) === known).join("");
  });
}
