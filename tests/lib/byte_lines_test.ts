import assert from "node:assert/strict";
import { splitLines } from "#/lib/byte_lines.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const WIDE = { lineBytesMax: 100, bytesMax: 1_000 };

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function lines(text: string, size: number, bounds = WIDE): Promise<string[]> {
  return (await Array.fromAsync(splitLines(inPieces(text, size), bounds))).map((line) => decoder.decode(line));
}

Deno.test("splitLines() cuts the same lines out of pieces of any size", async () => {
  for (const text of ["a\nbb\n\nüü\n", "a\nbb\n\nüü"]) {
    for (let size = 1; size < 12; size++) assert.deepEqual(await lines(text, size), ["a", "bb", "", "üü"]);
  }
  assert.deepEqual(await lines("", 1), []);
  assert.deepEqual(await lines("\n", 1), [""]);
});

Deno.test("splitLines() takes what is at its bounds and refuses what is beyond before it has read it", async () => {
  const bounds = { lineBytesMax: 3, bytesMax: 8 };
  for (const size of [1, 2, 8]) {
    assert.deepEqual(await lines("abc\ndef\n", size, bounds), ["abc", "def"]);
    await assert.rejects(lines("abcd\n", size, bounds), RangeError);
    await assert.rejects(lines("abcd", size, bounds), RangeError);
    await assert.rejects(lines("abc\ndef\ng", size, bounds), RangeError);
  }
  let read = 0;
  async function* endless() {
    await Promise.resolve();
    for (;; read++) yield new Uint8Array(10).fill(97);
  }
  await assert.rejects(Array.fromAsync(splitLines(endless(), WIDE)), RangeError);
  assert.equal(read, 10);
});
