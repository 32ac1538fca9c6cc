import assert from "node:assert/strict";
import { join } from "#/lib/path.ts";
import { BwrapTier } from "#/sandbox/tier_bwrap.ts";
import { LIMITS_OF_TESTS, WallHouse } from "./wall_kit.ts";

const MIB = 1_048_576;

/** The code of what a promise was rejected with. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => undefined, (thrown) => thrown);
  return error?.code ?? String(error);
}

Deno.test("BwrapTier runs a command with its folders, its environment and its end", async () => {
  await using house = await WallHouse.open();
  Deno.writeTextFileSync(`${house.shared}/a.txt`, "a\n");
  const command = 'cat a.txt - && echo "$PWD $HOME $WORD $#" && touch /tmp/b && exit 7';
  const ran = await house.run(command, { env: { WORD: "two words" } }, "b\n");
  assert.deepEqual(ran, { stdout: "a\nb\n/shared /tmp two words 0\n", stderr: "", code: 7 });
  assert.ok(Deno.statSync(`${house.tmp}/b`).isFile);
});

Deno.test("BwrapTier hands over every byte, from the first on, both ways", async () => {
  await using house = await WallHouse.open();
  const bytes = new Uint8Array(3 * MIB).map((_, index) => index * 7 ^ index >> 8);
  const walled = await house.start(["/bin/cat"]);
  const writer = walled.stdin.getWriter();
  const [got] = await Promise.all([
    new Response(walled.stdout).bytes(),
    writer.write(bytes).then(() => writer.close()),
    walled.stderr.cancel(),
  ]);
  assert.deepEqual(got, bytes);
  assert.deepEqual(await walled.exited, { code: 0 });
});

Deno.test("BwrapTier shows files of ours and the way out, read-only, and the program sees its id and host name", async () => {
  await using house = await WallHouse.open();
  const [agent, net] = [join(house.root, "agent"), join(house.root, "net")];
  Deno.writeTextFileSync(agent, "an agent");
  Deno.mkdirSync(net);
  const server = Deno.listen({ transport: "unix", path: join(net, "proxy.sock") });
  const accepted = server.accept().then((connection) => connection.close());
  const ran = await house.run(
    "cat /run/oxydra/agent; echo x > /run/oxydra/agent; touch /run/oxydra-net/x; id -un; hostname; " +
      `perl -MSocket -e 'socket(S, 1, 1, 0); connect(S, pack_sockaddr_un("/run/oxydra-net/proxy.sock")) and print "connected"'`,
    { files: { "/run/oxydra/agent": agent }, netDir: net },
  );
  assert.equal(ran.stdout, "an agentoxydra\noxydra\nconnected", ran.stderr);
  assert.equal(ran.stderr.split("Read-only").length, 3);
  await accepted;
  server.close();
});

Deno.test("BwrapTier leaves nothing behind, twenty at once", async () => {
  await using house = await WallHouse.open();
  const ran = await Promise.all(Array.from({ length: 20 }, (_, index) => house.run(`sleep 0.1; exit ${index}`)));
  assert.deepEqual(ran.map(({ code }) => code), Array.from({ length: 20 }, (_, index) => index));
  assert.deepEqual([...Deno.readDirSync(join(house.root, "run"))], []);
  assert.equal(await house.driver.sweep(house.user), 0);
});

Deno.test("BwrapTier ends what passes the memory of its control group or of the watch, and says so", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, memoryBytesMax: 64 * MIB };
  // The program itself is what has to go: nobody is left who could report it.
  const walled = await house.start(["/usr/bin/perl", "-e", "$x = 'a' x (300 * 1048576); sleep 60"], { limits });
  const end = await walled.exited;
  assert.deepEqual(end, { code: 137, reason: "It used more than 64 MiB of memory" });
  await Promise.all([walled.stdin.abort().catch(() => {}), walled.stdout.cancel(), walled.stderr.cancel()]);
});

Deno.test("BwrapTier ends what has used up its CPU time", async () => {
  await using house = await WallHouse.open();
  const { code } = await house.run("exec perl -e '1 while 1'", { limits: { ...LIMITS_OF_TESTS, cpuSecondsMax: 1 } });
  assert.ok(code === 137 || code === 152, String(code));
});

Deno.test("BwrapTier.kill() ends it however often it is asked, and after its end", async () => {
  await using house = await WallHouse.open();
  const walled = await house.start(["/bin/bash", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"]);
  await Promise.all([walled.kill(), walled.kill(), walled.exited]);
  await walled.kill();
  assert.equal((await walled.exited).code, 137);
  await Promise.all([walled.stdin.abort().catch(() => {}), walled.stdout.cancel(), walled.stderr.cancel()]);
});

Deno.test("BwrapTier.open() refuses in words what cannot be walled in, and a call that was cancelled", async () => {
  await using house = await WallHouse.open();
  const nowhere = { mounts: { shared: join(house.root, "nowhere"), tmp: house.tmp } };
  await assert.rejects(
    house.start(["/bin/true"], nowhere),
    /bubblewrap did not start: bwrap: Can't find source path \/shared: /,
  );
  assert.equal(await codeOf(house.start(["/bin/true"], nowhere)), "tier_unavailable");
  const spec = {
    ...{ id: "x", user: house.user, mounts: { shared: house.shared, tmp: house.tmp }, env: {}, files: {} },
    ...{ limits: LIMITS_OF_TESTS, argv: ["/bin/true"] },
  };
  assert.equal(await codeOf(house.driver.open(spec, AbortSignal.abort())), "cancelled");
  const stop = new AbortController();
  const opening = house.driver.open(spec, stop.signal);
  stop.abort();
  assert.equal(await codeOf(opening), "cancelled");
  assert.deepEqual([...Deno.readDirSync(join(house.root, "run"))], []);
});

Deno.test("BwrapTier says that a program is not there by its end", async () => {
  await using house = await WallHouse.open();
  const walled = await house.start(["/nowhere/at/all"]);
  const [stderr, { code }] = await Promise.all([new Response(walled.stderr).text(), walled.exited]);
  assert.equal(code, 127);
  assert.match(stderr, /\/nowhere\/at\/all: No such file/);
  await Promise.all([walled.stdin.abort().catch(() => {}), walled.stdout.cancel()]);
});

Deno.test("BwrapTier.sweep() removes what a killed runner left", async () => {
  await using house = await WallHouse.open();
  for (const name of ["wall-abc", "other"]) Deno.mkdirSync(join(house.root, "run", name));
  assert.equal(await house.driver.sweep(house.user), 1);
  assert.deepEqual([...Deno.readDirSync(join(house.root, "run"))].map(({ name }) => name), ["other"]);
});

Deno.test("BwrapTier.probe() tries it once, says what holds less, and never rejects", async () => {
  await using house = await WallHouse.open();
  const status = await house.driver.probe();
  assert.equal(status.available, true, status.reason);
  assert.match(status.about, /^bubblewrap \d+\.\d+/);
  assert.equal(await house.driver.probe(), status);
  assert.equal(status.notes.some((note) => note.includes("runs as root")), Deno.uid() === 0);
  const lost = await new BwrapTier({ user: "alice", dir: "/nowhere/at/all" }).probe();
  assert.equal(lost.available, false);
});
