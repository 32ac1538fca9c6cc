/** Threat: hostile or careless files and tools bring a secret of the runner before the model, in whatever form it stands there. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import { openSecrets } from "#/sandbox/secrets.ts";
import { openRealBroker, openTempBroker, requestOf, says } from "../sandbox/temp_broker.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

const never = new AbortController().signal;
const CANARY = 'canary/7 "K+q"';
const secrets = openSecrets([{ name: "canary", value: new Secret(CANARY), hosts: ["api.example.com"] }]);
const utf8 = (text: string) => new TextEncoder().encode(text);
const hexOf = (char: string) => char.charCodeAt(0).toString(16).padStart(2, "0");

const FORMS: readonly string[] = [
  CANARY,
  encodeURIComponent(CANARY),
  encodeURIComponent(encodeURIComponent(CANARY)),
  new URLSearchParams({ a: CANARY }).toString(),
  CANARY.split("").map((char) => `%${hexOf(char)}`).join(""),
  JSON.stringify({ a: CANARY }),
  JSON.stringify(JSON.stringify({ a: CANARY })),
  CANARY.split("").map((char) => `\\u00${hexOf(char)}`).join(""),
  CANARY.split("").map((char) => `&#x${hexOf(char)};`).join(""),
  CANARY.replaceAll('"', "&quot;"),
  CANARY.replaceAll(/\W/g, "\\$&"),
  utf8(CANARY).toHex(),
  utf8(CANARY).toHex().toUpperCase(),
  ...["", "a", "ab"].map((before) => utf8(before + CANARY + before).toBase64()),
  ...["", "a", "ab"].map((before) =>
    utf8(before + CANARY + before).toBase64({ alphabet: "base64url", omitPadding: true })
  ),
  utf8(JSON.stringify({ a: CANARY })).toBase64(),
];

/** Every reading of a text that a person would try. */
function readings(text: string): string[] {
  const percent = text.replaceAll(/%[0-9a-f]{2}/gi, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
  const base64 = (text.match(/[\w+/-]{8,}/g) ?? []).flatMap((word) =>
    [0, 1, 2, 3].map((skip) => {
      const digits = word.slice(skip).replaceAll("-", "+").replaceAll("_", "/");
      return atob(digits.slice(0, digits.length - digits.length % 4));
    })
  );
  return [text, percent, percent.replaceAll("+", " "), text.replaceAll(/\\(.)/g, "$1"), ...base64];
}

function assertNoCanary(text: string, form: string): void {
  for (const reading of readings(text)) {
    assert.ok(!reading.includes(CANARY) && !reading.includes("canary/7"), `${form} came out as ${text}`);
  }
  assert.ok(!text.includes(form), form);
  assert.match(text, /\[REDACTED:canary\]/);
}

Deno.test("a file with a secret in any encoding is read, searched and refused by the real tools without a trace of it", async () => {
  using temp = openTempFiles();
  await using real = await openRealBroker(temp, { secrets });
  const { broker } = real;
  for (const [index, form] of FORMS.entries()) {
    Deno.writeTextFileSync(join(temp.shared, `${index}.txt`), `first line\nkey: ${form}\nlast line\n`);
    const read = await broker.call(requestOf({ path: `/shared/${index}.txt` }, { tool: "file_read" }), never);
    assert.equal(read.kind, "ok", read.text);
    assert.match(read.text, /first line[^]*last line/);
    assertNoCanary(read.text, form);
  }
  const found = await broker.call(requestOf({ pattern: "key:" }, { tool: "file_search" }), never);
  assert.equal(found.kind, "ok", found.text);
  for (const form of FORMS) assert.ok(!found.text.includes(form), form);
  const path = `/shared/${CANARY.replace("/", "%2F")}`;
  const failed = await broker.call(requestOf({ path }, { tool: "file_read" }), never);
  assert.equal(failed.code, "file_not_found");
  assertNoCanary(failed.text, path);
});

Deno.test("a secret in the text of a tool that fails, throws or says too much comes out of no outcome", async () => {
  using temp = openTempFiles();
  const args = { path: "/shared/a" };
  for (const form of FORMS) {
    const failing = await openTempBroker(temp, async (...call) => ({
      ...await says(`no: ${form}`)(...call),
      ok: false,
      code: "tool_failed",
    }), { secrets });
    const failed = await failing.call(requestOf(args), never);
    assert.equal(failed.kind, "failed");
    assertNoCanary(failed.text, form);
  }
  // Scrubbed before it is cut: the cut may lie anywhere in the secret.
  for (let kept = 0; kept <= CANARY.length; kept++) {
    const text = "x".repeat(LIMITS.toolOutputBytesMax - kept) + CANARY;
    const broker = await openTempBroker(temp, says(text), { secrets });
    const outcome = await broker.call(requestOf(args), never);
    assert.match(outcome.text, /x{1000}/);
    assert.ok(!outcome.text.includes("canary/"), `${kept} characters before the cut`);
  }
  const unknown = await openTempBroker(temp, says(""), { secrets });
  assertNoCanary((await unknown.call(requestOf({ path: 1, [CANARY]: 1 }), never)).text, CANARY);
});
