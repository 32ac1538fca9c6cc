import assert from "node:assert/strict";
import { replaceRandom, replaceTokens } from "#/turn/scrub_word.ts";

const mark = (label: string) => `<${label}>`;
const RANDOM = "q7Zk2Vx9Lm4Tn8Rw3Yb6Hd1Pc5Js0Fg";

Deno.test("replaceRandom() judges words of 24 to 512 characters", () => {
  const long = RANDOM.repeat(17);
  for (const [chars, isSecret] of [[23, false], [24, true], [512, true], [513, false]] as const) {
    const word = long.slice(0, chars);
    assert.equal(replaceRandom(`"${word}"`, mark), isSecret ? '"<high-entropy>"' : `"${word}"`, `${chars} characters`);
  }
});

Deno.test("replaceRandom() needs many different characters, and many changes between their kinds", () => {
  const kept = [
    "a1".repeat(20),
    "aB1cD2".repeat(6),
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
  ];
  for (const word of kept) assert.equal(replaceRandom(word, mark), word);
  assert.equal(replaceRandom("qXzRkTvWnBpLmKjHgFdSaZxCvBnM", mark), "<high-entropy>");
});

Deno.test("replaceRandom() leaves public blocks alone and judges what is around them", () => {
  const body = `${RANDOM}Ab1\n${RANDOM}Cd2=`;
  const block = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`;
  assert.equal(replaceRandom(`${RANDOM}\n${block}\n${RANDOM}`, mark), `<high-entropy>\n${block}\n<high-entropy>`);
  const other = block.replaceAll("CERTIFICATE", "SOMETHING");
  assert.ok(!replaceRandom(other, mark).includes(RANDOM));
});

Deno.test("replaceTokens() needs the whole shape at the border of a word", () => {
  const whole = `ghp_${RANDOM}`;
  assert.equal(replaceTokens(`a ${whole} b`, mark), "a <token> b");
  for (const text of [`x${whole}`, whole.slice(0, 33), "sk-loading-spinner-for-version-2", `AKIA${"A1".repeat(9)}`]) {
    assert.equal(replaceTokens(text, mark), text);
  }
});
