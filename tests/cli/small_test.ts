import assert from "node:assert/strict";
import { EXIT, toExitCode } from "#/cli/exit_code.ts";
import { toClientRequest } from "#/cli/client_request.ts";
import { readLines } from "#/cli/lines.ts";

Deno.test("toExitCode() keeps the promise of SPEC", () => {
  const cases = [
    ["provider_auth", 3],
    ["provider_unavailable", 3],
    ["model_unknown", 3],
    ["budget_turns", 4],
    ["budget_exceeded", 4],
    ["tool_denied", 5],
    ["cancelled", 130],
    ["config_invalid", 2],
    ["config_untrusted", 2],
    ["usage", 2],
    ["internal", 1],
    ["store_corrupt", 1],
  ] as const;
  for (const [code, exit] of cases) assert.equal(toExitCode(code), exit, code);
  assert.equal(EXIT.done, 0);
});

Deno.test("toClientRequest() takes what the launcher wrote and nothing else", () => {
  const request = { mode: "run", json: true, user: "default", endpointPath: "/e" };
  assert.deepEqual(toClientRequest([JSON.stringify(request)]), request);
  for (const args of [[], ["{}"], ["null"], ['{"user":1,"endpointPath":"/e"}']]) {
    assert.throws(() => toClientRequest(args), TypeError);
  }
  assert.throws(() => toClientRequest(["--help"]), SyntaxError);
});

async function linesOf(chunks: readonly Uint8Array[], charsMax = 100): Promise<string[]> {
  const lines = [];
  for await (const line of readLines(ReadableStream.from(chunks), charsMax)) lines.push(line);
  return lines;
}

Deno.test("readLines() gives whole lines however they arrive", async () => {
  const bytes = new TextEncoder().encode("one\r\nzwei 🌊\n\nlast");
  for (const size of [1, 2, 3, 7, 100]) {
    const chunks = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
    assert.deepEqual(await linesOf(chunks), ["one", "zwei 🌊", "", "last"], `chunks of ${size}`);
  }
  assert.deepEqual(await linesOf([]), []);
});

Deno.test("readLines() cuts a line that never ends", async () => {
  assert.deepEqual(await linesOf([new Uint8Array(50).fill(97), new Uint8Array(50).fill(97)], 10), ["a".repeat(10)]);
});
