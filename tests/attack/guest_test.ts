/** A guest whose code is not ours, with the real broker and real tool children behind its link. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { LIMITS } from "#/core/limits.ts";
import { openLogFile } from "#/runner/log_file.ts";
import { startHostile } from "../fixture/hostile_guest.ts";
import { isAlive } from "../fixture/system.ts";

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
