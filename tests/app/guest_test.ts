/** The guest's entry, src/app/guest.ts, as the process that it is: with the flags of its plan, over its stdin and stdout. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Bootstrap, GuestNotice } from "#/app/bootstrap.ts";
import type { Outcome } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson } from "#/lib/length_json.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { serveBroker } from "#/sandbox/broker_server.ts";
import { reply, text } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { ok } from "../fake/recording_sandbox.ts";
import { denoEnv } from "../fixture/system.ts";
import { demoBootstrap, makeFolders, thisProgram } from "../fixture/workspace.ts";
import { Client } from "../gateway/house.ts";

const ENTRY = "src/app/guest.ts";

/** Starts it; the caller says what it gets on stdin. `flags` come before its own. */
function spawnGuest(
  folders = makeFolders(),
  { hosts = [], flags = [] }: { readonly hosts?: readonly string[]; readonly flags?: readonly string[] } = {},
): { child: Deno.ChildProcess; internal: string } {
  const lockPath = join(folders.run, "guest.lock");
  Deno.copyFileSync(new URL("../../deno.lock", import.meta.url), lockPath);
  const program = thisProgram();
  const plan = planGuest({ program, env: denoEnv(), internalDir: folders.internal, lockPath, port: 0, hosts });
  assert.ok(plan.args.at(-1)!.endsWith(ENTRY));
  const child = new Deno.Command(plan.command, {
    args: [plan.args[0]!, ...flags, ...plan.args.slice(1)],
    clearEnv: true,
    env: { ...plan.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return { child, internal: folders.internal };
}

async function writeBootstrap(child: Deno.ChildProcess, value: unknown): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(encodeLengthJson(value, LIMITS.bootstrapBytesMax));
  writer.releaseLock();
}

/** Serves its link; `next` gives its notices in order. */
function serve(child: Deno.ChildProcess, call: () => Promise<Outcome>) {
  const notices: GuestNotice[] = [];
  let wake = Promise.withResolvers<void>();
  const broker = {
    call,
    answer: () => Promise.resolve(),
    derived: () => Promise.resolve(),
    forget: () => Promise.resolve(),
  };
  const link = serveBroker({ input: new ByteReader(child.stdout), output: child.stdin }, broker, {
    schema: GuestNotice,
    onNotice(notice) {
      notices.push(notice);
      wake.resolve();
      wake = Promise.withResolvers();
    },
  });
  const next = async () => {
    while (notices.length === 0) await wake.promise;
    return notices.shift()!;
  };
  return { link, next };
}

Deno.test("the guest listens, serves a turn with the runner's tools and ends with its stdin", async () => {
  const { child, internal } = spawnGuest();
  const errors = new Response(child.stderr).text();
  const bootstrap = demoBootstrap(internal);
  await writeBootstrap(child, bootstrap);
  const { link, next } = serve(child, () => Promise.resolve(ok("file_read", "rivers run")));
  const listening = await next();
  assert.ok(listening.type === "listening");
  const client = await Client.open(`ws://127.0.0.1:${listening.port}/ws?token=${bootstrap.startToken}`);
  assert.deepEqual(await next(), { v: 1, type: "clients", count: 1 });
  client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
  client.turn("t", "read /shared/a.txt", { session_id: "runtime-default" });
  assert.deepEqual(await next(), { v: 1, type: "turns", count: 1 });
  assert.deepEqual(await next(), { v: 1, type: "turn" });
  assert.match((await client.next("turn_completed")).payload.response.message.content, /rivers run/);
  assert.deepEqual(await next(), { v: 1, type: "turns", count: 0 });
  await link.notify({ v: 1, type: "drain" });
  assert.deepEqual(await next(), { v: 1, type: "drained" });
  client.turn("late", "read /shared/a.txt", { session_id: "runtime-default" });
  assert.match((await client.next("error")).payload.message, /^the gateway restarts; send this again/);
  await link.close();
  assert.equal((await client.closed).code, 1001);
  assert.equal((await child.status).code, 0, await errors);
});

/** npm packages of which a guest has run anything when it has served one turn, read from what V8 covered. */
async function packagesOfTurn(model: Bootstrap["model"], hosts: readonly string[]): Promise<string[]> {
  const covered = await Deno.makeTempDir({ prefix: "oxydra-covered-" });
  const { child, internal } = spawnGuest(makeFolders(), { hosts, flags: [`--coverage=${covered}`] });
  const errors = new Response(child.stderr).text();
  const bootstrap = demoBootstrap(internal, { model });
  await writeBootstrap(child, bootstrap);
  const { link, next } = serve(child, () => Promise.reject(new Error("not asked")));
  const listening = await next();
  assert.ok(listening.type === "listening");
  const client = await Client.open(`ws://127.0.0.1:${listening.port}/ws?token=${bootstrap.startToken}`);
  client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
  client.turn("t", "hello", { session_id: "runtime-default" });
  await client.next("turn_completed");
  await link.close();
  assert.equal((await child.status).code, 0, await errors);
  const urls = [...Deno.readDirSync(covered)].map(({ name }): string =>
    JSON.parse(Deno.readTextFileSync(join(covered, name))).url
  );
  assert.ok(urls.some((url) => url.endsWith(ENTRY)), "the guest itself is covered");
  await Deno.remove(covered, { recursive: true });
  const names = urls.flatMap((url) => /\/npm\/[^/]+\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  return [...new Set(names)].sort();
}

Deno.test("the guest evaluates no vendor's package for the demo, and openai's only when that answers", async () => {
  const { model } = demoBootstrap("/nowhere");
  assert.deepEqual(await packagesOfTurn(model, []), ["hono", "zod"]);
  const vendor = await startFakeOpenAi(() => reply([text("Hello.")]));
  const openai = { ...model, provider: "acme", type: "openai", model: "fake-1", baseUrl: vendor.url } as const;
  const packages = await packagesOfTurn(openai, [`127.0.0.1:${vendor.port}`]);
  await vendor.close();
  assert.ok(packages.includes("openai"), packages.join());
});

Deno.test("the guest says why it cannot start, in a notice, and ends with 1", async () => {
  const folders = makeFolders();
  await Deno.writeTextFile(join(folders.internal, "oxydra.db"), "this is no database, and long enough to be looked at");
  const { child } = spawnGuest(folders);
  await writeBootstrap(child, demoBootstrap(folders.internal));
  const { next } = serve(child, () => Promise.reject(new Error("not asked")));
  const failed = await next();
  assert.ok(failed.type === "failed", failed.type);
  assert.match(failed.code, /^store_/);
  assert.ok(!failed.message.includes(folders.internal), "no host path leaves it");
  await child.stderr.cancel();
  assert.equal((await child.status).code, 1);
});

Deno.test("the guest takes no bootstrap that is half, wrong, too large or absent, and writes nothing to stdout", async () => {
  const good = demoBootstrap("/nowhere");
  const inputs: readonly Uint8Array<ArrayBuffer>[] = [
    new Uint8Array(0),
    new Uint8Array([0, 0]),
    encodeLengthJson(good, LIMITS.bootstrapBytesMax).slice(0, 40),
    encodeLengthJson({ ...good, grant: "all" }, LIMITS.bootstrapBytesMax),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 1]),
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
  ];
  for (const input of inputs) {
    const { child } = spawnGuest();
    const writer = child.stdin.getWriter();
    await writer.write(input);
    await writer.close();
    const { code, stdout } = await child.output();
    assert.notEqual(code, 0, JSON.stringify([...input.slice(0, 8)]));
    assert.equal(stdout.length, 0);
  }
});
