import assert from "node:assert/strict";
import { askProcess, endProcess } from "#/sandbox/ask_process.ts";

const never = new AbortController().signal;

function toPlan(script: string) {
  return { command: "/bin/sh", args: ["-c", script], env: {} };
}

function isAlive(pid: number): boolean {
  return new Deno.Command("/bin/kill", { args: ["-0", String(pid)], stderr: "null" }).outputSync().success;
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("askProcess() gives what a process makes of its input", async () => {
  const input = new TextEncoder().encode("hello");
  const text = decode(await askProcess(toPlan("tr a-z A-Z"), { input, bytesMax: 100, signal: never }));
  assert.equal(text, "HELLO");
  assert.equal(decode(await askProcess(toPlan("cat"), { bytesMax: 100, signal: never })), "");
});

Deno.test("askProcess() ends a process that says too much, and one that says nothing until the signal", async () => {
  const much = await askProcess(toPlan("exec yes"), { bytesMax: 10, signal: never });
  assert.ok(much.length > 10);
  const late = await askProcess(toPlan("echo $$; exec sleep 60"), { bytesMax: 100, signal: AbortSignal.timeout(500) });
  assert.match(decode(late), /^\d+\n$/);
  assert.ok(!isAlive(Number(decode(late))));
  assert.equal((await askProcess(toPlan("exec sleep 60"), { bytesMax: 100, signal: AbortSignal.abort() })).length, 0);
});

Deno.test("askProcess() throws for what cannot be started", async () => {
  await assert.rejects(askProcess({ command: "/nowhere", args: [], env: {} }, { bytesMax: 1, signal: never }));
});

Deno.test("endProcess() ends a process once", async () => {
  const process = new Deno.Command("/bin/sleep", { args: ["60"] }).spawn();
  endProcess(process);
  assert.equal((await process.status).signal, "SIGKILL");
  endProcess(process);
});
