/** A guest seen from its runner: the real one, and processes that are none. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Bootstrap, GuestNotice } from "#/app/bootstrap.ts";
import { LIMITS } from "#/core/limits.ts";
import { encodeJsonFrame } from "#/lib/framing.ts";
import { type GuestBody, type GuestHandlers, startGuest } from "#/runner/guest_process.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";
import { ok } from "../fake/recording_sandbox.ts";
import { denoEnv, isAlive } from "../fixture/system.ts";
import { demoBootstrap, makeFolders, thisProgram } from "../fixture/workspace.ts";
import { Client } from "../gateway/house.ts";

/** What a runner hears; `until` waits for the next word. */
class Ears implements GuestHandlers {
  readonly broker: GuestHandlers["broker"] = {
    call: ({ tool }) => Promise.resolve(ok(tool, "rivers run")),
    answer: () => Promise.resolve(),
    derived: () => Promise.resolve(),
    forget: () => Promise.resolve(),
  };
  readonly counts: number[] = [];
  readonly log: string[] = [];
  turns = 0;
  #wake = Promise.withResolvers<void>();

  readonly onClients = (count: number) => this.#hear(() => this.counts.push(count));
  readonly onTurn = () => this.#hear(() => this.turns++);
  readonly onLog = (line: string) => this.#hear(() => this.log.push(line));

  async until(check: () => boolean): Promise<void> {
    while (!check()) await this.#wake.promise;
  }

  #hear(note: () => void): void {
    note();
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

function planReal(): { plan: ProcessPlan; bootstrap: Bootstrap } {
  const folders = makeFolders();
  const lockPath = join(folders.run, "guest.lock");
  Deno.copyFileSync(new URL("../../deno.lock", import.meta.url), lockPath);
  const { internal } = folders;
  const plan = planGuest({
    program: thisProgram(),
    env: denoEnv(),
    internalDir: internal,
    lockPath,
    port: 0,
    hosts: [],
  });
  return { plan, bootstrap: demoBootstrap(internal) };
}

/** A process without permission that runs this code instead of a guest. */
function planScript(code: string): ProcessPlan {
  const script = join(Deno.makeTempDirSync(), "guest.js");
  Deno.writeTextFileSync(script, code);
  const args = ["run", "-q", "--no-prompt", "--no-config", "--no-remote", "--no-npm", script];
  return { name: "guest", command: Deno.execPath(), args, env: { ...denoEnv(), NO_COLOR: "1" }, reach: [] };
}

/** Code for the bytes of a link frame with this JSON, call id 0. */
function toFrame(json: string): string {
  return `((body) => {
    const out = new Uint8Array(9 + body.length);
    new DataView(out.buffer).setUint32(0, body.length + 5);
    out.set(body, 9);
    return out;
  })(new TextEncoder().encode(${JSON.stringify(json)}))`;
}

const told = Promise.resolve(demoBootstrap("/nowhere"));

Deno.test("startGuest() brings a gateway up, counts its clients, hears its turns and ends it", async () => {
  const { plan, bootstrap } = planReal();
  const ears = new Ears();
  const late = Promise.withResolvers<Bootstrap>();
  const guest = startGuest(plan, () => late.promise, ears);
  late.resolve(bootstrap);
  const port = await guest.listening;
  const client = await Client.open(`ws://127.0.0.1:${port}/ws?token=${bootstrap.startToken}`);
  await ears.until(() => ears.counts.length === 1);
  assert.equal(guest.clients, 1);
  client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
  client.turn("t", "read /shared/a.txt", { session_id: "runtime-default" });
  assert.match((await client.next("turn_completed")).payload.response.message.content, /rivers run/);
  assert.equal(ears.turns, 1);
  await Promise.all([guest.close(), guest.close()]);
  assert.equal(await guest.exited, 0);
  assert.equal((await client.closed).code, 1001);
  assert.ok(!isAlive(guest.pid));
  assert.deepEqual(ears.log, []);
});

Deno.test("startGuest() throws when there is no such command", () => {
  const plan = { ...planScript(""), command: "/nowhere/deno" };
  assert.throws(() => startGuest(plan, () => told, new Ears()), { code: "guest_failed" });
});

Deno.test("startGuest() says when the process ends before it listens, and logs its last words", async () => {
  const ears = new Ears();
  const guest = startGuest(planScript(`console.error("first\\nlast words"); Deno.exit(7);`), () => told, ears);
  await assert.rejects(guest.listening, { code: "guest_failed" });
  assert.equal(await guest.exited, 7);
  await ears.until(() => ears.log.includes("last words"));
  assert.ok(ears.log.includes("first"));
  await guest.close();
});

Deno.test("startGuest() gives on what the guest says it failed with", async () => {
  const failed = { v: 1, type: "failed", code: "store_newer", message: "written by a newer version" };
  const plan = planScript(`Deno.stdout.writeSync(${toFrame(JSON.stringify({ v: 1, type: "notice", body: failed }))});
    for await (const _ of Deno.stdin.readable); Deno.exit(1);`);
  const guest = startGuest(plan, () => told, new Ears());
  await assert.rejects(guest.listening, { code: "store_newer", message: "written by a newer version" });
  await guest.close();
  assert.equal(await guest.exited, 1);
});

Deno.test("startGuest() kills a guest that does not keep to the frames, and says so in the log", async () => {
  const hang = "setInterval(() => {}, 1000);";
  const write = (code: string) => planScript(`Deno.stdout.writeSync(${code}); ${hang}`);
  const plans = [
    write(`new TextEncoder().encode("hello, I am a log line\\n")`),
    write("new Uint8Array([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0])"),
    write(toFrame('{"v":1,"type":"notice","body":{"v":1,"type":"granted","all":true}}')),
    write(toFrame('{"v":1,"type":"notice","body":{"v":1,"type":"listening","port":0}}')),
    write(toFrame("{")),
  ];
  for (const plan of plans) {
    const ears = new Ears();
    const guest = startGuest(plan, () => told, ears);
    await assert.rejects(guest.listening, { code: "guest_failed" });
    await guest.exited;
    assert.match(ears.log.join("\n"), /link ended/, `${plan.args.at(-1)}`);
    assert.ok(!isAlive(guest.pid));
  }
});

Deno.test("startGuest() fails with the reason when no bootstrap comes, and leaves no process", async () => {
  const guest = startGuest(
    planScript("setInterval(() => {}, 1000);"),
    () => Promise.reject(new Error("no model")),
    new Ears(),
  );
  await assert.rejects(guest.listening, { code: "guest_failed", message: /no model/ });
  await guest.exited;
  assert.ok(!isAlive(guest.pid));
});

Deno.test("close() kills a guest that stays when its stdin has ended", async () => {
  const guest = startGuest(planScript("setInterval(() => {}, 1000);"), () => told, new Ears());
  await guest.close();
  assert.ok(!isAlive(guest.pid));
  await assert.rejects(guest.listening, { code: "guest_failed" });
});

Deno.test("startGuest() cuts a line of the guest's log that never ends", async () => {
  const ears = new Ears();
  const plan = planScript(
    `for (let i = 0; i < 64; i++) Deno.stderr.writeSync(new Uint8Array(65_536).fill(97)); Deno.exit(0);`,
  );
  const guest = startGuest(plan, () => told, ears);
  await guest.exited;
  await ears.until(() => ears.log.some((line) => line.startsWith("aaa")));
  assert.ok(ears.log.every((line) => line.length <= 8_192));
  await assert.rejects(guest.listening);
});

/** What a guest could run in, told by hand. */
class Body implements GuestBody {
  readonly pid = 7;
  readonly #in = new TransformStream<Uint8Array, Uint8Array>();
  readonly #out = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, { highWaterMark: 8 });
  readonly #end = Promise.withResolvers<{ code: number; reason?: string }>();
  readonly stdin = this.#in.writable;
  readonly stdout = this.#out.readable;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly status = this.#end.promise;
  owned: number | undefined;

  constructor(stderr = "") {
    this.stderr = new Blob([stderr]).stream();
    void this.#in.readable.pipeTo(new WritableStream());
  }

  async notify(notice: GuestNotice): Promise<void> {
    const writer = this.#out.writable.getWriter();
    await writer.write(encodeJsonFrame(0, { v: 1, type: "notice", body: notice }));
    writer.releaseLock();
  }

  owns(port: number): Promise<boolean> {
    return Promise.resolve(port === this.owned);
  }

  end(code: number, reason?: string): void {
    void this.#out.writable.close().catch(() => {});
    this.#end.resolve({ code, ...(reason === undefined ? {} : { reason }) });
  }

  kill(): void {
    this.end(137);
  }
}

Deno.test("startGuest() believes a port only when what the guest runs in owns it", async () => {
  const owner = new Body();
  owner.owned = 4_000;
  const guest = startGuest(owner, () => told, new Ears());
  await owner.notify({ v: 1, type: "listening", port: 4_000 });
  assert.equal(await guest.listening, 4_000);
  assert.equal(guest.pid, 7);
  owner.end(0);
  const liar = new Body();
  liar.owned = 4_000;
  const lied = startGuest(liar, () => told, new Ears());
  await liar.notify({ v: 1, type: "listening", port: 4_001 });
  await assert.rejects(lied.listening, { message: "the guest says that it listens on port 4001, and it does not" });
  assert.equal(await lied.exited, 137, "it is killed");
});

Deno.test("startGuest() gives on why a container ended, with the last words of its stderr, and logs the reason", async () => {
  const ears = new Ears();
  const body = new Body("error while loading shared libraries: libgcc_s.so.1\n");
  const guest = startGuest(body, () => told, ears);
  body.end(127, "its image has no libgcc");
  await assert.rejects(guest.listening, {
    message: "the guest ended with code 127 before it listened: its image has no libgcc: " +
      "error while loading shared libraries: libgcc_s.so.1",
  });
  assert.ok(ears.log.includes("runner: the guest ended: its image has no libgcc"));
  const last = "y".repeat(LIMITS.lastWordsCharsMax + 1);
  const long = new Body(last);
  const cut = startGuest(long, () => told, new Ears());
  long.end(1);
  await assert.rejects(cut.listening, { message: `the guest ended with code 1 before it listened: ${last.slice(1)}` });
});
