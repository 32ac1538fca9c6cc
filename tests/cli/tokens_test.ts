/** `oxydra tokens` against a gateway that runs, in real processes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { CLOSE } from "#/gateway/connection.ts";
import { runTokensCreate, runTokensList, runTokensRevoke, toExpiry, toTokenLines } from "#/cli/tokens.ts";
import { tellTokens } from "#/cli/control_client.ts";
import { connectRaw, makeMachine, runOxydra, startGateway } from "../fixture/system.ts";
import { makeMachine as makeFiles } from "../config/layers_on_disk.ts";
import { enterRealm } from "./realm.ts";

Deno.test("toExpiry() reads 90m, 8h, 30d and nothing else", () => {
  assert.equal(toExpiry("90m", 1), 5_400_001);
  assert.equal(toExpiry("8h", 0), 28_800_000);
  assert.equal(toExpiry("30d", 0), 2_592_000_000);
  for (const text of ["", "0d", "1y", "-1d", "1.5h", "99999d", "2030-01-01"]) {
    assert.throws(() => toExpiry(text, 0), { code: "usage" });
  }
});

Deno.test("toTokenLines() names everything but what opens", () => {
  const token = { id: "0011aabb", name: "phone", scope: "read", createdAt: 0, expired: false } as const;
  const [head, never, gone] = toTokenLines([token, { ...token, expiresAt: 1, expired: true }]);
  assert.match(head!, /^name +id +scope +created +expires$/);
  assert.match(never!, /^phone +0011aabb +read +.* +never$/);
  assert.match(gone!, /expired$/);
});

Deno.test("a token that is created opens a live gateway, and is closed with a code when it is revoked", async () => {
  const machine = await makeMachine();
  const gateway = await startGateway(machine);
  try {
    const created = await runOxydra(
      ["tokens", "create", "--name", "phone", "--scope", "read", "--expires", "1h"],
      machine,
    );
    assert.equal(created.code, 0, created.err);
    const token = created.out.trim();
    assert.match(token, /^oxydra_[\w-]{43}$/);
    assert.match(created.err, /phone \([0-9a-f]{8}\), scope read, until .* not shown again/);
    const listed = await runOxydra(["tokens"], machine);
    assert.match(listed.out, /phone +[0-9a-f]{8} +read/);
    assert.ok(!listed.out.includes(token.slice(10)));
    // The session has to be there before a reader can see it.
    const owner = await connectRaw(gateway);
    await owner.next(({ type }) => type === "hello_ack");
    const reader = await connectRaw({ port: gateway.port, token });
    await reader.next(({ type }) => type === "hello_ack");
    reader.send("send_turn", { request_id: "r", session_id: "runtime-default", turn_id: "t", prompt: "hi" });
    const refused = await reader.next(({ type }) => type === "error");
    assert.match(refused.payload.message, /good for `read`/);
    const closed = new Promise<CloseEvent>((resolve) => reader.socket.addEventListener("close", resolve));
    const revoked = await runOxydra(["tokens", "revoke", "phone"], machine);
    assert.match(revoked.out, /revoked phone .*; its connections are closed/);
    assert.equal((await closed).code, CLOSE.revoked);
    await assert.rejects(connectRaw({ port: gateway.port, token }));
    owner.send("health_check", { request_id: "q" });
    await owner.next(({ type }) => type === "health_status");
    owner.close();
    assert.equal((await runOxydra(["tokens", "revoke", "phone"], machine)).code, 2);
    for (const name of ["runtime.log"]) {
      const text = await Deno.readTextFile(join(gateway.workspace, "logs", name)).catch(() => "");
      assert.ok(!text.includes(token), "no log has it");
    }
  } finally {
    await gateway.stop();
  }
});

Deno.test("a token that was created while nothing ran opens the next gateway", async () => {
  const machine = await makeMachine();
  const created = await runOxydra(["tokens", "create", "--name", "bot", "--scope", "channel", "--json"], machine);
  assert.equal(created.code, 0, created.err);
  const { token, id, live, sha256 } = JSON.parse(created.out);
  assert.deepEqual([live, sha256], [false, undefined]);
  const gateway = await startGateway(machine);
  try {
    const bot = await connectRaw({ port: gateway.port, token });
    const ack = await bot.next(({ type }) => type === "hello_ack");
    assert.equal(ack.payload.session.session_id, `api-${id}`);
    bot.close();
  } finally {
    await gateway.stop();
  }
});

Deno.test("the commands of tokens, in this process", async () => {
  using machine = makeFiles();
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno") } });
  assert.equal(await runTokensList({}), 0);
  assert.equal(await runTokensCreate({ name: "a", scope: "owner" }), 0);
  assert.equal(await runTokensCreate({ name: "b", scope: "read", expires: "1m", json: true }), 0);
  await assert.rejects(runTokensCreate({ name: "a", scope: "owner" }), { code: "usage" });
  assert.equal(await runTokensList({ json: true }), 0);
  assert.equal(await runTokensRevoke("a", {}), 0);
  await assert.rejects(runTokensRevoke("a", {}), { code: "usage" });
  await assert.rejects(tellTokens(join(machine.cwd, "no.sock")), { code: "gateway_unreachable" });
  assert.match(realm.out(), /^no token was created/);
  assert.match(realm.err(), /a \([0-9a-f]{8}\), scope owner, until it is revoked/);
});
