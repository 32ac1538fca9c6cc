/** A guest whose code is not ours, with the real broker and real tool children behind its link. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { UserFolders } from "#/config/user.ts";
import { LIMITS } from "#/core/limits.ts";
import { type GuestProcess, startGuest } from "#/runner/guest_process.ts";
import { openLogFile } from "#/runner/log_file.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { openTools, type ToolHost } from "#/runner/tool_host.ts";
import { denoEnv, isAlive } from "../fixture/system.ts";
import { demoBootstrap, makeFolders, thisProgram, TOOL_HOST_DEFAULTS } from "../fixture/workspace.ts";

/** What the hostile code may use: frames over its stdio, an honest call, and a last word that the test waits for. */
const PRELUDE = `
const encoder = new TextEncoder(), decoder = new TextDecoder();
const write = (bytes) => { for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at)); };
const exactly = (count) => {
  const out = new Uint8Array(count);
  for (let at = 0; at < count;) { const got = Deno.stdin.readSync(out.subarray(at)); if (got === null) Deno.exit(0); at += got; }
  return out;
};
const u32 = (bytes, at = 0) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
const toFrame = (id, json) => {
  const body = encoder.encode(typeof json === "string" ? json : JSON.stringify(json));
  const out = new Uint8Array(9 + body.length), view = new DataView(out.buffer);
  view.setUint32(0, body.length + 5); view.setUint32(5, id); out.set(body, 9);
  return out;
};
const join = (parts) => { const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0)); let at = 0; for (const part of parts) { all.set(part, at); at += part.length; } return all; };
const send = (id, json) => write(toFrame(id, json));
const notice = (body) => ({ v: 1, type: "notice", body: { v: 1, ...body } });
const next = () => { const rest = exactly(u32(exactly(4))); return { kind: rest[0], id: u32(rest, 1), body: rest.subarray(5) }; };
const ask = (tool, args, extra = {}) => ({ v: 1, type: "request", body: {
  principal: { user: "default", agent: ["default"], origin: "channel" }, session: "s", turn: "t", callId: crypto.randomUUID(), tool, args, ...extra } });
/** The answer to request id: its head, and its text. */
const answer = (id) => {
  for (;;) {
    const frame = next();
    if (frame.kind !== 0 || frame.id !== id) continue;
    const head = JSON.parse(decoder.decode(frame.body));
    if (head.type === "failed") return head;
    const parts = [];
    for (let left = head.contentBytes; left > 0;) { const chunk = next(); if (chunk.kind === 1 && chunk.id === id) { parts.push(chunk.body); left -= chunk.body.length; send(id, { v: 1, type: "ack" }); } }
    return { ...head.body, text: decoder.decode(join(parts)) };
  }
};
const honest = (id) => { send(id, ask("file_read", { path: "/shared/a.txt" })); return answer(id); };
const say = (word) => { Deno.stderr.writeSync(encoder.encode("SAID " + JSON.stringify(word) + "\\n")); };
exactly(u32(exactly(4)));
`;

interface Hostile extends AsyncDisposable {
  readonly guest: GuestProcess;
  readonly folders: UserFolders;
  readonly tools: ToolHost;
  /** What the code told the test, in order. */
  said(count: number): Promise<readonly unknown[]>;
}

async function startHostile(code: string, onLog: (line: string) => void = () => {}): Promise<Hostile> {
  const folders = makeFolders();
  Deno.writeTextFileSync(join(folders.shared, "a.txt"), "alpha");
  Deno.writeTextFileSync(join(folders.vault, "key"), "SECRET");
  const script = join(folders.internal, "hostile.js");
  Deno.writeTextFileSync(script, PRELUDE + code);
  Deno.copyFileSync(new URL("../../deno.lock", import.meta.url), join(folders.run, "guest.lock"));
  const input = { program: thisProgram(), env: denoEnv() };
  const real = planGuest({
    ...input,
    internalDir: folders.internal,
    lockPath: join(folders.run, "guest.lock"),
    port: 0,
    hosts: [],
  });
  const tools = await openTools({
    guestStarted: Promise.resolve(),
    version: "0.0.0",
    ...input,
    user: "default",
    folders,
    now: Date.now,
    onResolved: () => {},
    ...TOOL_HOST_DEFAULTS,
  });
  const words: unknown[] = [];
  let wake = Promise.withResolvers<void>();
  const guest = startGuest(
    { ...real, args: [...real.args.slice(0, -1), script] },
    () => Promise.resolve(demoBootstrap(folders.internal)),
    {
      broker: tools.broker,
      onClients() {},
      onTurn: () => void tools.warm().catch(() => {}),
      onLog(line) {
        onLog(line);
        if (!line.startsWith("SAID ")) return;
        words.push(JSON.parse(line.slice(5)));
        wake.resolve();
        wake = Promise.withResolvers();
      },
    },
  );
  return {
    guest,
    folders,
    tools,
    async said(count) {
      const gone = guest.exited.then((code) => {
        throw new Error(`the guest ended with ${code} after ${JSON.stringify(words)}`);
      });
      gone.catch(() => {});
      while (words.length < count) await Promise.race([wake.promise, gone]);
      return words;
    },
    async [Symbol.asyncDispose]() {
      await guest.close();
      await tools.close();
      await Deno.remove(folders.root, { recursive: true });
    },
  };
}

Deno.test("a guest that says another process's port is its own is not believed, and ends", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using hostile = await startHostile(
    `send(0, notice({ type: "listening", port: ${listener.addr.port} })); for (;;) next();`,
  );
  await assert.rejects(hostile.guest.listening, { code: "guest_failed", message: /and it does not/ });
  await hostile.guest.exited;
  assert.ok(!isAlive(hostile.guest.pid));
});

Deno.test("a guest that names other users, powers and paths gets nothing, and its honest call is served", async () => {
  await using hostile = await startHostile(`
    const asks = [
      ask("file_read", { path: "/vault/key" }),
      ask("file_read", { path: "/shared/../vault/key" }),
      ask("file_read", { path: "/internal/hostile.js" }),
      ask("file_read", { path: "/etc/passwd" }),
      ask("file_list", { path: "/" }),
      ask("file_write", { path: "/vault/key", content: "x" }),
      ask("file_read", { path: "/vault/key" }, { principal: { user: "root", agent: [], origin: "api" } }),
      ask("file_read", { path: "/vault/key" }, { principal: { user: "default", agent: ["owner"], origin: "owner" } }),
      ask("file_read", { path: "/vault/key" }, { grant: { capabilities: [{ kind: "fs.read", path: "/vault", scope: "tree", bytesMax: 9 }] } }),
      ask("shell_exec", { command: "id" }),
      ask("__proto__", {}),
      ask("constructor", {}),
    ];
    say(asks.map((body, at) => { send(at + 1, body); const { kind, code, text, type } = answer(at + 1); return [kind ?? type, code, text ?? ""]; }));
    const nested = '{"v":1,"type":"request","body":{"principal":{"user":"default","agent":[],"origin":"channel"},"session":"s","turn":"t","callId":"n","tool":"file_read","args":' + "[".repeat(1_000_000) + "]".repeat(1_000_000) + "}}";
    send(50, nested);
    const { kind, type, code } = answer(50);
    say([kind ?? type, code]);
    say(honest(60).text);
    for (;;) next();`);
  const [refusals, nested, honest] = await hostile.said(3) as [[string, string, string][], string[], string];
  for (const [kind, code, text] of refusals) {
    assert.ok(["denied", "failed", "ask"].includes(kind), `${kind} ${code} ${text}`);
    assert.doesNotMatch(text, /SECRET/);
    assert.ok(!text.includes(hostile.folders.root), text);
  }
  assert.notEqual(nested[0], "ok");
  assert.match(honest, /alpha/);
  assert.equal(Deno.readTextFileSync(join(hostile.folders.vault, "key")), "SECRET");
});

Deno.test("a guest that asks and cancels a thousand times is served afterwards, and no child is left over", async () => {
  await using hostile = await startHostile(`
    for (let round = 0; round < 20; round++) {
      const ids = Array.from({ length: 50 }, (_, at) => 1 + round * 50 + at);
      write(join(ids.flatMap((id) => [toFrame(id, ask("file_read", { path: "/shared/a.txt" })), toFrame(id, { v: 1, type: "cancel" }), toFrame(id, { v: 1, type: "cancel" })])));
      for (let answered = 0; answered < 50;) { const frame = next(); if (frame.kind === 0 && JSON.parse(decoder.decode(frame.body)).type !== "ack") answered++; }
    }
    write(join(Array.from({ length: 2_000 }, () => toFrame(0, notice({ type: "turn" })))));
    say(honest(5_000).text);
    for (;;) next();`);
  assert.match(String((await hostile.said(1))[0]), /alpha/);
  assert.ok(hostile.tools.childPids.length <= LIMITS.childrenPerPackageMax);
});

Deno.test("a guest that floods its log costs the runner a bounded file, and its calls are served meanwhile", async () => {
  const path = join(await Deno.makeTempDir({ prefix: "oxydra-log-" }), "runtime.log");
  const log = openLogFile(path);
  await using hostile = await startHostile(
    `const flood = new Uint8Array(65_536).fill(10);
    for (let i = 0; i < 100; i++) Deno.stderr.writeSync(flood);
    say(honest(1).text);
    Deno.stderr.writeSync(new Uint8Array(4_000_000).fill(27));
    Deno.stderr.writeSync(encoder.encode("\\n"));
    say(honest(2).text);
    for (;;) next();`,
    (line) => log.write(line),
  );
  for (const text of await hostile.said(2)) assert.match(String(text), /alpha/);
  log.close();
  // 6.5 million empty lines, each with its time, would be 160 MB.
  assert.ok(Deno.statSync(path).size < 2_000_000, `${Deno.statSync(path).size} bytes`);
  // deno-lint-ignore no-control-regex -- what a log must not hold
  assert.doesNotMatch(Deno.readTextFileSync(path), /\x1b/);
});

Deno.test("a guest that takes none of its answers is ended by the end of its stdin all the same", async () => {
  await using hostile = await startHostile(`
    for (let id = 1; id <= ${LIMITS.linkRequestsMax}; id++) send(id, ask("file_read", { path: "/shared/a.txt" }));
    say("asked");
    setInterval(() => {}, 1_000);`);
  await hostile.said(1);
  await hostile.guest.close();
  assert.ok(!isAlive(hostile.guest.pid));
});
