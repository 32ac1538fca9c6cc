import { z } from "zod";
import { Secret } from "#/lib/secret.ts";

/** Longest delay that setTimeout keeps: 2^31 - 1 ms. A longer one fires at once (measured in Deno 2.9.6, as in Node). */
const SECONDS_MAX = 2_147_483;
const U32_MAX = 4_294_967_295;
// deno-lint-ignore no-control-regex -- a header value or a path with control characters is what it refuses
const CONTROL = /[\u0000-\u001f\u007f]/;

/** A whole number from 1 to `max`, by default 2^32 - 1. */
export function count(max: number = U32_MAX): z.ZodInt {
  // One clone instead of two: a start pays for each of them.
  return z.int().check(z.gte(1), z.lte(max));
}

/** Whole seconds from 1 to what a timer can wait for. */
export function seconds(): z.ZodInt {
  return count(SECONDS_MAX);
}

/** A fraction from 0 to 1. */
export function ratio(): z.ZodNumber {
  return z.number().check(z.gte(0), z.lte(1));
}

/** A sum of money in the provider's unit, more than 0. */
export function cost(): z.ZodNumber {
  return z.number().gt(0);
}

/** One line of text that is not blank and has no control characters. */
export function line(): z.ZodString {
  return z.string().refine((text) => text.trim() !== "", "must not be empty")
    .refine((text) => !CONTROL.test(text), "must not hold control characters");
}

/** Name of an environment variable (POSIX: letters, digits and underscores, no digit first). Never its value. */
export function envName(): z.ZodString {
  return z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be the name of an environment variable");
}

/** Name of an entry that a person chose: part of `provider/model`, of key paths and of messages, so no slash and no blank. */
export function name(): z.ZodString {
  return z.string().regex(
    /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/,
    "must be a name of at most 64 letters, digits, '.', '_' or '-'",
  );
}

/** An http or https address without a user name or password, which belong into a key that is masked. */
export function httpUrl(): z.ZodString {
  return url(["http:", "https:"]);
}

/** An address with one of the given schemes (`"https:"`), without a user name or password. */
export function url(schemes: readonly string[]): z.ZodString {
  const names = schemes.map((scheme) => `${scheme}//`).join(" or ");
  return line().refine(
    (text) => isUrl(text, schemes),
    `must be an address that starts with ${names}, without a password`,
  );
}

/** Text that is wrapped at once so that nothing prints it. An empty one counts as not set. */
export function secretText(): z.ZodType<Secret | undefined, string> {
  return z.string().refine((text) => !CONTROL.test(text), "must not hold line breaks or control characters")
    .transform((text) => text === "" ? undefined : new Secret(text));
}

/** A zone of the IANA time zone database, e.g. `Europe/Berlin`. */
export function timezone(): z.ZodString {
  return z.string().refine(isTimezone, "must be an IANA time zone such as Europe/Berlin");
}

function isUrl(text: string, schemes: readonly string[]): boolean {
  const parsed = URL.parse(text);
  return parsed !== null && schemes.includes(parsed.protocol) && parsed.hostname !== "" &&
    parsed.username === "" && parsed.password === "";
}

function isTimezone(text: string): boolean {
  // Loading ICU's zones costs milliseconds at every start; this one is always there.
  if (text === "UTC") return true;
  // An offset ("+02:00") is accepted by Intl, and is no zone: it has no daylight saving.
  if (!/^[A-Za-z]/.test(text)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
