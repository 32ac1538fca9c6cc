/**
 * A process without permissions that parses what a model wrote: questions on stdin, answers on stdout, one after another. It runs
 * nothing, and its answer is only which names a command has.
 */
import "#/lib/stderr_console.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { readShell, type ShellReading } from "#/sandbox/shell_rules_names.ts";

async function main(): Promise<void> {
  const input = new ByteReader(Deno.stdin.readable);
  for (;;) {
    const command = await readLengthJson(input, LIMITS.frameBytesMax);
    if (command === undefined) return;
    const answer = toFrame(readShell(String(command)));
    for (let at = 0; at < answer.length;) at += Deno.stdout.writeSync(answer.subarray(at));
  }
}

function toFrame(reading: ShellReading): Uint8Array {
  return encodeLengthJson(reading, LIMITS.frameBytesMax);
}

await main();
