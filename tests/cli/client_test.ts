/** The client's entry, src/cli/client.ts, as the process that it is: with the flags of its plan, against a real gateway. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { ClientRequest } from "#/cli/client_request.ts";
import { toEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { planClient } from "#/runner/plan_client.ts";
import { denoEnv } from "../fixture/system.ts";
import { thisProgram } from "../fixture/workspace.ts";
import { type House, openHouse } from "../gateway/house.ts";
import { echoSource } from "../gateway/scripted_source.ts";

const ENTRY = "src/cli/client.ts";

/** Starts a client of this gateway, or of none. */
function spawnClient(
  gateway: Pick<House, "port" | "token"> | null,
  request: Partial<ClientRequest>,
): Deno.ChildProcess {
  const ipc = Deno.makeTempDirSync();
  const endpointPath = join(ipc, "gateway-endpoint");
  const controlPath = join(ipc, "runner-control.sock");
  if (gateway !== null) writeEndpoint(ipc, toEndpoint(gateway.port, gateway.token));
  const whole: ClientRequest = { mode: "run", json: false, user: "ann", endpointPath, controlPath, ...request };
  const input = { program: thisProgram(), env: denoEnv(), port: gateway?.port ?? 1, endpointPath, controlPath };
  const plan = planClient(input, [JSON.stringify(whole)]);
  assert.ok(plan.args.at(-2)!.endsWith(ENTRY));
  return new Deno.Command(plan.command, {
    args: [...plan.args],
    clearEnv: true,
    env: { ...plan.env, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function finish(
  client: Deno.ChildProcess,
  stdin: string | Uint8Array,
): Promise<{ code: number; out: string; err: string }> {
  const bytes = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  await ReadableStream.from([bytes]).pipeTo(client.stdin).catch(() => {});
  const { code, stdout, stderr } = await client.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

Deno.test("the client shows the answer on stdout and everything else on stderr", async () => {
  await using house = await openHouse({ source: echoSource() });
  const { code, out, err } = await finish(spawnClient(house, {}), "hello rivers");
  assert.deepEqual([code, out], [0, "hello rivers\n"], err);
  assert.match(err, /^oxydra: demo\/demo\. no key is set\n$/);
});

Deno.test("the client takes each line of a pipe as a turn", async () => {
  await using house = await openHouse({ source: echoSource() });
  const chat = await finish(spawnClient(house, { mode: "chat" }), "one\n\n  two  \r\n/help\nthree");
  assert.deepEqual([chat.code, chat.out], [0, "one\ntwo\nthree\n"], chat.err);
  assert.match(chat.err, /Ctrl-C stops the running turn/);
  const left = await finish(spawnClient(house, { mode: "chat" }), "one\n/exit\ntwo\n");
  assert.deepEqual([left.code, left.out], [0, "one\n"], left.err);
  const empty = await finish(spawnClient(house, { mode: "chat" }), "");
  assert.deepEqual([empty.code, empty.out], [0, ""], empty.err);
});

Deno.test("the client tells its launcher when there is no gateway any more", async () => {
  const house = await openHouse();
  const endpoint = { port: house.port, token: house.token };
  await house[Symbol.asyncDispose]();
  for (const gateway of [null, endpoint]) {
    const { code, out } = await finish(spawnClient(gateway, {}), "hello");
    assert.deepEqual([code, out], [75, ""]);
  }
});

Deno.test("the client refuses another model than the one it was asked for, and says what the gateway refused", async () => {
  await using house = await openHouse({ source: echoSource() });
  const other = await finish(spawnClient(house, { model: "openai/gpt" }), "hello");
  assert.deepEqual([other.code, other.out], [2, ""]);
  assert.match(other.err, /uses demo\/demo/);
  const stranger = await finish(spawnClient(house, { user: "bob" }), "hello");
  assert.deepEqual([stranger.code, stranger.out], [2, ""]);
  assert.match(stranger.err, /^oxydra: /);
});

Deno.test("the client cancels its turn at the first Ctrl-C and leaves at the second", async () => {
  await using house = await openHouse();
  const client = spawnClient(house, {});
  const output = finish(client, "take your time");
  const turn = await house.source.next();
  client.kill("SIGINT");
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  if (turn.signal.aborted) resolve();
  else turn.signal.addEventListener("abort", () => resolve(), { once: true });
  await cancelled;
  // Nobody ends the turn: the second one has to be enough.
  client.kill("SIGINT");
  const { code, err } = await output;
  assert.equal(code, 130);
  assert.match(err, /Ctrl-C again to leave at once/);
  await turn.end();
});

Deno.test("the client is started by the oxydra command, not by hand", async () => {
  const args = ["run", "-q", "--no-prompt", "--config", new URL("../../deno.json", import.meta.url).pathname];
  const entry = new URL(`../../${ENTRY}`, import.meta.url).href;
  for (const line of [[], ["--help"], ["{}"]]) {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), { args: [...args, entry, ...line], stdin: "null" })
      .output();
    assert.notEqual(code, 0, line.join());
    assert.equal(stdout.length, 0);
  }
});
