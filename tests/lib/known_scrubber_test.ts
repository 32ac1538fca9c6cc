import assert from "node:assert/strict";
import { toKnownScrubber } from "#/lib/known_scrubber.ts";
import { assertLinear } from "../fixture/linear.ts";

const VALUE = 'p+s/w0rd "x"<ä>&%41\\n~é';
const one = toKnownScrubber([{ name: "key", value: VALUE }]);
const utf8 = (text: string) => new TextEncoder().encode(text);
const base64 = (text: string) => utf8(text).toBase64();
const percent = (text: string) => [...utf8(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
const unicode = (text: string) =>
  text.split("").map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
const html = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
const json = (text: string) => JSON.stringify(text).slice(1, -1);
const mixed = (text: string) => text.replaceAll(/[a-f]/g, (digit, at) => at % 2 === 0 ? digit.toUpperCase() : digit);

/** Every form in which the value is to be found. */
const FORMS: Readonly<Record<string, string>> = {
  plain: VALUE,
  "encodeURIComponent": encodeURIComponent(VALUE),
  "form body": new URLSearchParams({ a: VALUE }).toString().slice(2),
  "percent, lower": percent(VALUE),
  "percent, upper": percent(VALUE).toUpperCase(),
  "percent, mixed": mixed(percent(VALUE)),
  "percent, here and there": [...VALUE].map((char, at) => at % 2 ? percent(char) : encodeURIComponent(char)).join(""),
  "percent twice": encodeURIComponent(encodeURIComponent(VALUE)),
  JSON: json(VALUE),
  "JSON in JSON": json(json(VALUE)),
  "JSON with slashes": json(VALUE).replaceAll("/", "\\/"),
  "JSON, all \\u": unicode(VALUE),
  "JSON, all \\u, upper": unicode(VALUE).replaceAll(/[a-f]/g, (digit) => digit === "u" ? digit : digit.toUpperCase()),
  "URL in JSON": json(encodeURIComponent(VALUE)),
  HTML: html(VALUE),
  "HTML numbers": VALUE.split("").map((char) => `&#${char.charCodeAt(0)};`).join(""),
  "HTML hex": VALUE.split("").map((char) => `&#x${char.charCodeAt(0).toString(16)};`).join(""),
  "JSON of HTML": json(html(VALUE)),
  hex: utf8(VALUE).toHex(),
  "hex, upper": utf8(VALUE).toHex().toUpperCase(),
  "hex, mixed": mixed(utf8(VALUE).toHex()),
  "hex, wrapped": utf8(VALUE).toHex().replaceAll(/.{10}/g, "$&\n"),
  shell: VALUE.replaceAll(/[^\wäé]/g, "\\$&"),
  base64: base64(VALUE),
  "base64, percent": encodeURIComponent(base64(VALUE)),
  "base64, JSON": base64(json(VALUE)),
  "base64, wrapped": base64(VALUE).replaceAll(/.{7}/g, "$&\r\n  "),
};

Deno.test("toKnownScrubber() finds every form of a value, with anything around it", () => {
  for (const [form, text] of Object.entries(FORMS)) {
    for (const [before, after] of [["", ""], ["x ", " y"], ['{"a":"', '"}'], ["é% ", "%"], ["🙂", "🙂"]] as const) {
      const scrubbed = one.scrub(before + text + after);
      assert.match(scrubbed, /^[^]*\[REDACTED:key\]/, `${form}: ${scrubbed}`);
      assert.ok(scrubbed.length <= before.length + "[REDACTED:key]".length + after.length + 6, `${form}: ${scrubbed}`);
      assert.ok(scrubbed.startsWith(before) && scrubbed.endsWith(after), `${form}: ${scrubbed}`);
    }
  }
});

Deno.test("toKnownScrubber() finds a value inside base64 of a larger text, whatever the alignment, alphabet and padding", () => {
  for (let before = 0; before < 7; before++) {
    for (let after = 0; after < 4; after++) {
      const whole = base64("a".repeat(before) + VALUE + "b".repeat(after));
      const plain = whole.replace(/=+$/, "");
      for (const text of [whole, plain, plain.replaceAll("+", "-").replaceAll("/", "_")]) {
        assert.match(one.scrub(text), /^[a-zA-Z]{0,10}\[REDACTED:key\][a-zA-Z]{0,4}=*$/, `${before}, ${after}`);
      }
    }
  }
});

Deno.test("toKnownScrubber() leaves alone what is not the value", () => {
  for (const text of [VALUE.slice(1), VALUE.slice(0, -1), VALUE.toUpperCase(), base64(`${VALUE.slice(0, -1)}!`), ""]) {
    assert.equal(one.scrub(text), text);
  }
  const source = "if (a && b) {\n  return `\\n100% \\u0041 &amp; %20`;\n}\n";
  assert.equal(one.scrub(source), source);
  assert.equal(toKnownScrubber([]).scrub(VALUE), VALUE);
});

Deno.test("toKnownScrubber() replaces overlapping finds as one, by the mark of the longest", () => {
  const scrub = toKnownScrubber([
    { name: "short", value: "abcdefgh" },
    { name: "long", value: "abcdefghijkl" },
    { name: "tail", value: "ijklmnopqrst" },
    { name: "inner", value: "efghijkl" },
    { name: "same", value: "aaaaaaaa" },
  ]).scrub;
  assert.equal(scrub("<abcdefgh>"), "<[REDACTED:short]>");
  assert.equal(scrub("<abcdefghijkl>"), "<[REDACTED:long]>");
  assert.equal(scrub("<abcdefghijklmnopqrst>"), "<[REDACTED:long]>");
  assert.equal(scrub("<efghijklmnopqrst>"), "<[REDACTED:tail]>");
  assert.equal(scrub("abcdefghabcdefgh"), "[REDACTED:short][REDACTED:short]");
  assert.equal(scrub("a".repeat(19)), "[REDACTED:same]");
  assert.equal(scrub("a".repeat(7)), "a".repeat(7));
});

Deno.test("toKnownScrubber() gives plain values a mark of their own, and looks for them in no base64", () => {
  const scrub = toKnownScrubber([{ name: "key", value: "/srv/box/shared/abc" }], [
    { value: "/srv/box", mark: "" },
    { value: "/srv/box/shared", mark: "/shared" },
    { value: "/x", mark: "/y" },
  ]).scrub;
  assert.equal(scrub("/srv/box/shared/a /srv/box/run \\/srv\\/box /srv%2Fbox /x"), "/shared/a /run   /y");
  assert.equal(scrub("/srv/box/shared/abcd"), "[REDACTED:key]d");
  assert.equal(scrub(base64("see /srv/box/run")), base64("see /srv/box/run"));
  assert.throws(() => toKnownScrubber([{ name: "a", value: "" }]), RangeError);
  assert.throws(() => toKnownScrubber([], [{ value: "", mark: "" }]), RangeError);
});

const KEY = `-----BEGIN KEY-----\n${"QUJD+/8x".repeat(8)}\n${"abcd1234".repeat(3)}==\n-----END KEY-----`;
const several = toKnownScrubber([
  { name: "key", value: VALUE },
  { name: "pem", value: KEY },
  { name: "digits", value: "41414141/u0041" },
], [{ value: "/srv/box", mark: "" }]);

Deno.test("toKnownScrubber() finds a key of several lines as it is, with other line ends, in JSON and joined", () => {
  for (
    const text of [
      KEY,
      KEY.replaceAll("\n", "\r\n"),
      KEY.replaceAll("\n", "\n    "),
      json(KEY),
      json(json(KEY)),
      KEY.replaceAll("\n", ""),
    ]
  ) {
    assert.equal(several.scrub(`a ${text} b`), "a [REDACTED:pem] b", text);
  }
});

/** What a stream gives for the pieces. */
function streamed(pieces: readonly string[]): string {
  const stream = several.stream();
  return pieces.map((piece) => stream.push(piece)).join("") + stream.end();
}

Deno.test("stream() gives the same for every cut in two, and for single characters", () => {
  const texts = [
    ...Object.values(FORMS).map((form) => `é ${form}\n  %4`),
    `${json(KEY)}%`,
    `x ${KEY}${VALUE}${KEY.slice(0, 30)}`,
    "%41%41%41%41%2Fu0041 41414141%2fu0041 \\u0034\\u0031 41414141/u00",
    "/srv/b /srv/box/srv/box /srv\\/bo",
  ];
  for (const text of texts) {
    const whole = several.scrub(text);
    assert.equal(streamed(text.split("")), whole);
    for (let cut = 0; cut <= text.length; cut++) {
      assert.equal(streamed([text.slice(0, cut), text.slice(cut)]), whole, `cut at ${cut} of ${text}`);
    }
  }
});

Deno.test("stream() gives the same for random texts in random pieces", () => {
  let seed = 7;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const pool = [
    ...Object.values(FORMS),
    VALUE.slice(0, 9),
    KEY,
    "%",
    "%4",
    "%e2%82",
    "\\",
    "u00",
    "41",
    "&",
    "&#",
    ";",
    "\n",
    "\r",
    "  ",
    "a",
    "/srv",
    "/box",
  ];
  for (let round = 0; round < 400; round++) {
    const text = Array.from({ length: 1 + random(8) }, () => {
      const part = pool[random(pool.length)]!;
      return random(3) === 0 ? part.slice(random(part.length)) : part;
    }).join("");
    const pieces: string[] = [];
    for (let at = 0; at < text.length;) {
      const length = 1 + random(random(4) === 0 ? 60 : 5);
      pieces.push(text.slice(at, at += length));
    }
    assert.equal(streamed(pieces), several.scrub(text), `round ${round}: ${JSON.stringify(pieces)}`);
  }
});

Deno.test("stream() holds back only what may belong to a find", () => {
  const stream = several.stream();
  assert.equal(stream.push("hello, world $ "), "hello, world $ ");
  assert.equal(stream.push("line\n"), "line");
  assert.equal(stream.push("p+s/w0"), "\n");
  assert.equal(stream.push("!"), "p+s/w0!");
  assert.equal(stream.push("41414141/u0041."), "[REDACTED:digits].");
  assert.equal(stream.end(), "");
});

Deno.test("scrub() is linear in a hostile text", () => {
  const pieces = [
    "a",
    "%",
    "\\",
    "&",
    "\n",
    "%41",
    "p+s/w0rd",
    VALUE,
    KEY.slice(0, 40),
    base64(VALUE),
    "4",
    "\\u0041",
    `${VALUE.slice(0, -1)}!`,
    "&#65;",
  ];
  for (const piece of pieces) {
    assertLinear(piece, (text) => several.scrub(text));
  }
});
