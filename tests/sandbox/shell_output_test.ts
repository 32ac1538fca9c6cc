import assert from "node:assert/strict";
import { BoundedOutput, toPlain } from "#/sandbox/shell_output.ts";

function fill(text: string, size: number, [head, tail] = [10, 20]): ReturnType<BoundedOutput["read"]> {
  const bytes = new TextEncoder().encode(text);
  const output = new BoundedOutput(head!, tail!);
  for (let at = 0; at < bytes.length; at += size) output.push(bytes.subarray(at, at + size));
  return output.read();
}

Deno.test("read() has all of an output up to its bounds, and head and tail beyond, however it came", () => {
  const fits = "0123456789abcdefghijklmnopqrst";
  for (const size of [1, 3, 7, 100]) {
    assert.deepEqual(fill(fits, size), { text: fits, bytes: 30, strange: 0 });
    const { text, bytes } = fill(`${fits}u`, size);
    assert.equal(text, "0123456789\n[… 1 of 31 bytes of output are left out here …]\nbcdefghijklmnopqrstu");
    assert.equal(bytes, 31);
  }
  assert.match(fill("x".repeat(100_000), 64).text, /99970 of 100000 bytes/);
});

Deno.test("read() cuts between characters", () => {
  for (const char of ["é", "漢", "🎈"]) {
    for (let shift = 0; shift < 4; shift++) {
      const { text, strange } = fill("a".repeat(shift) + char.repeat(50), 5);
      assert.equal(strange, 0, `${char} ${shift}: ${text}`);
    }
  }
});

Deno.test("end has the last characters of what was written", () => {
  const output = new BoundedOutput(4, 1_000);
  output.push(new TextEncoder().encode("abcdef"));
  output.push(new TextEncoder().encode("Proceed? \u001b[0m"));
  assert.ok(output.end.endsWith("efProceed? "));
  assert.equal(output.bytes, 19);
});

Deno.test("toPlain() leaves text as a terminal would, and counts what is none", () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ["plain\ttext\n", "plain\ttext\n", 0],
    ["\u001b[1;31mred\u001b[0m \u001b]0;title\u0007x\u001b(B", "red x", 0],
    ["10%\r50%\r100%\ndone\r\n", "100%\ndone\n", 0],
    ["a\u0000b\u0007c\u009bd\ufffd", "a\ufffdb\ufffdc\ufffdd\ufffd", 4],
    ["\u0001".repeat(100), "\ufffd\ufffd\ufffd", 100],
  ];
  for (const [raw, text, strange] of cases) assert.deepEqual(toPlain(raw), { text, strange }, JSON.stringify(raw));
});
