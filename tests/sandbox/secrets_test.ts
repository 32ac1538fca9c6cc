import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import { openSecrets, type SecretEntry } from "#/sandbox/secrets.ts";

const VALUE = "correct-horse-1";
const entry = (extra: Partial<SecretEntry> = {}): SecretEntry => ({
  name: "search",
  value: new Secret(VALUE),
  hosts: ["API.Example.com", "xn--bcher-kva.example"],
  ...extra,
});

Deno.test("spend() gives the value for a declared host only, whatever its case", () => {
  const secrets = openSecrets([entry(), entry({ name: "other", hosts: [] })]);
  assert.deepEqual(secrets.names, ["search", "other"]);
  assert.deepEqual(secrets.values.map(({ name, value }) => [name, value.reveal()]), [["search", VALUE], [
    "other",
    VALUE,
  ]]);
  assert.equal(secrets.spend("search", "api.example.COM").reveal(), VALUE);
  const refused: readonly (readonly [string, string])[] = [
    ["search", "example.com"],
    ["search", "evil-api.example.com"],
    ["search", "a.api.example.com"],
    ["search", "api.example.com."],
    ["search", "api.example.com:443"],
    ["search", "api.example.com.evil.com"],
    ["search", " api.example.com"],
    ["search", "bücher.example"],
    ["search", "apı.example.com"],
    ["search", ""],
    ["other", "api.example.com"],
    ["SEARCH", "api.example.com"],
    ["__proto__", "api.example.com"],
    ["", "api.example.com"],
  ];
  for (const [name, host] of refused) {
    assert.throws(() => secrets.spend(name, host), (error: Error & { code?: string }) => {
      assert.equal(error.code, "secret_denied", `${name} ${host}`);
      return !error.message.includes(VALUE);
    });
  }
});

Deno.test("openSecrets() refuses what could not be scrubbed or told apart, without saying the value", () => {
  const bad: readonly (readonly [readonly SecretEntry[], RegExp])[] = [
    [[entry(), entry()], /search is declared twice/],
    [[entry({ value: new Secret("") })], /8 to 16384 characters/],
    [[entry({ value: new Secret("x".repeat(7)) })], /8 to 16384 characters/],
    [[entry({ value: new Secret("x".repeat(LIMITS.secretCharsMax + 1)) })], /8 to 16384 characters/],
    [[entry({ value: new Secret(" ".repeat(20)) })], /white space/],
    [[entry({ value: new Secret(`${VALUE}\n`) })], /white space/],
    [[entry({ name: "" })], /name/],
    [[entry({ name: "a]b" })], /name/],
    [[entry({ hosts: [" "] })], /empty host/],
  ];
  for (const [entries, message] of bad) {
    assert.throws(() => openSecrets(entries), (error: Error & { code?: string }) => {
      assert.equal(error.code, "config_invalid");
      assert.match(error.message, message);
      return !error.message.includes(VALUE);
    });
  }
});

Deno.test("openSecrets() takes the shortest and the longest value", () => {
  for (const length of [8, LIMITS.secretCharsMax]) {
    assert.equal(openSecrets([entry({ value: new Secret("x".repeat(length)) })]).names.length, 1);
  }
  assert.deepEqual(openSecrets([]).names, []);
});

Deno.test("a Secrets object shows no value when it is printed", () => {
  const secrets = openSecrets([entry()]);
  for (const text of [JSON.stringify(secrets), Deno.inspect(secrets, { depth: 9 })]) assert.ok(!text.includes(VALUE));
});

Deno.test("openSecrets() takes every secret for private that is not declared public", () => {
  const entry = { value: new Secret("0123456789abcdef"), hosts: ["a.com"] };
  const secrets = openSecrets([{ ...entry, name: "a" }, { ...entry, name: "b", isPrivate: false }]);
  assert.deepEqual(["a", "b", "nobody"].map((name) => secrets.isPrivate(name)), [true, false, true]);
});
