import assert from "node:assert/strict";
import { join } from "node:path";
import { launchElsewhere, parseGateway } from "#/cli/launch_elsewhere.ts";
import { readEnvironment } from "#/cli/place.ts";
import { openHouse } from "../gateway/house.ts";
import { echoSource } from "../gateway/scripted_source.ts";
import { makeMachine, runOxydra } from "../fixture/system.ts";

Deno.test("parseGateway() takes ws:// on this machine and wss:// elsewhere, and no token in an address", () => {
  const good: Readonly<Record<string, readonly [string, string]>> = {
    "ws://127.0.0.1:4711": ["ws://127.0.0.1:4711", "127.0.0.1:4711"],
    "ws://localhost:1/ws": ["ws://localhost:1", "localhost:1"],
    "wss://example.org": ["wss://example.org:443", "example.org:443"],
    "wss://example.org:8443/": ["wss://example.org:8443", "example.org:8443"],
    "ws://[::1]:5": ["ws://[::1]:5", "[::1]:5"],
  };
  for (const [text, [origin, address]] of Object.entries(good)) {
    assert.deepEqual(parseGateway(text), { origin, address });
  }
  const bad: Readonly<Record<string, RegExp>> = {
    "": /no address/,
    "example.org": /no address/,
    "https://example.org": /begins with ws/,
    "ws://example.org": /without TLS/,
    "ws://127.0.0.1.example.org": /without TLS/,
    "wss://example.org/?token=x": /not into an address/,
    "wss://me:secret@example.org": /not into an address/,
    "wss://example.org/a/b": /no path/,
  };
  for (const [text, why] of Object.entries(bad)) {
    assert.throws(() => parseGateway(text), { code: "usage", message: why }, text);
  }
});

Deno.test("run --gateway speaks to a gateway elsewhere, with the token of the environment or of a file, and starts nothing", async () => {
  await using house = await openHouse({ source: echoSource() });
  const machine = await makeMachine();
  const args = ["run", "--gateway", `ws://127.0.0.1:${house.port}`, "--user", "ann"];
  const named = await runOxydra([...args, "hello rivers"], {
    ...machine,
    env: { ...machine.env, OXYDRA_GATEWAY_TOKEN: house.token },
  });
  assert.deepEqual([named.code, named.out], [0, "hello rivers\n"], named.err);
  const file = join(machine.cwd, "token");
  await Deno.writeTextFile(file, `${house.token}\n`, { mode: 0o600 });
  const filed = await runOxydra([...args, "--session", "mine", "--token-file", file, "from a file"], machine);
  assert.deepEqual([filed.code, filed.out], [0, "from a file\n"], filed.err);
  assert.ok((await house.log.session("mine")) !== undefined);
  assert.deepEqual([...Deno.readDirSync(machine.cwd)].map(({ name }) => name), ["token"], "no workspace was made");
});

Deno.test("--gateway without a token, with a wrong one, or where nobody listens says so", async () => {
  await using house = await openHouse({ source: echoSource() });
  const machine = await makeMachine();
  const at = (...args: string[]) => ["run", "--gateway", `ws://127.0.0.1:${house.port}`, ...args];
  const run = (args: string[], token?: string) =>
    runOxydra(args, {
      ...machine,
      env: { ...machine.env, ...(token === undefined ? {} : { OXYDRA_GATEWAY_TOKEN: token }) },
    });
  const none = await run(at("x"));
  assert.match(none.err, /needs a token/);
  assert.equal(none.code, 2);
  assert.match((await run(at("--token-file", "/nowhere/at/all", "x"))).err, /cannot be read/);
  assert.match((await run(at("x"), "two words")).err, /no token/);
  const wrong = await run(at("x"), "w".repeat(43));
  assert.deepEqual([wrong.code === 0, wrong.out], [false, ""]);
  const nobody = await run(["run", "--gateway", "ws://127.0.0.1:1", "x"], house.token);
  assert.match(nobody.err, /does not answer/);
});

Deno.test("launchElsewhere() refuses a wrong address before it reads a token", async () => {
  await assert.rejects(launchElsewhere("run", "x", { gateway: "http://x" }), { code: "usage" });
  assert.equal(readEnvironment().PATH, Deno.env.get("PATH"));
});
