import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { drain, spawnPiped } from "#/lib/spawn_piped.ts";

Deno.test("spawnPiped() gives the plan's environment and no other, in a process group of its own", async () => {
  const child = spawnPiped({
    command: "/bin/sh",
    args: ["-c", 'read line; echo "$line"; env; cut -d" " -f5 /proc/$$/stat; echo told >&2'],
    env: { ONLY: "this" },
  });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("hello\n"));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  // The shell sets PWD and the like itself.
  const env = lines.slice(1, -1).filter((line) => !/^(PWD|SHLVL|_|OLDPWD)=/.test(line));
  assert.deepEqual([lines[0], ...env, lines.at(-1)], ["hello", "ONLY=this", String(child.pid)]);
  assert.equal(new TextDecoder().decode(stderr), "told\n");
});

Deno.test("spawnPiped() throws for a command that is not there", () => {
  assert.throws(() => spawnPiped({ command: "/nowhere/at/all", args: [], env: {} }), Deno.errors.NotFound);
});

Deno.test("drain() hands on what a stream says, bounded, and takes one that breaks off for its end", async () => {
  const said: string[] = [];
  await drain(
    ReadableStream.from([new TextEncoder().encode("a"), new Uint8Array(LIMITS.logLineCharsMax + 1)]),
    (text) => {
      said.push(text);
    },
  );
  assert.deepEqual(said.map(({ length }) => length), [1, LIMITS.logLineCharsMax]);
  await drain(new ReadableStream({ pull: (stream) => stream.error(new Error("gone")) }), () => {});
});
