/** Guests in containers of a real engine: how they start, end, and what keeps them from it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describeBox } from "#/runner/guest_box.ts";
import { BoxNetworks } from "#/runner/box_network.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import { openBox } from "../fixture/boxed.ts";
import { FileEngine, startEngine, TEST_IMAGE } from "../fixture/engine.ts";
import { GUEST_IMAGE, guestContainers, makeGuestImage, startGuestEngine } from "../fixture/guest_image.ts";
import { isAlive, waitUntil } from "../fixture/system.ts";
import { makeFolders } from "../fixture/workspace.ts";

const test = new FileEngine(startGuestEngine);
const { ignore } = test;
const signal = new AbortController().signal;

Deno.test({
  name: "openGuestBox() starts a guest as the owner of its folder, on the port of the one before, and leaves nothing",
  ignore,
  async fn() {
    const folders = makeFolders();
    const limits = { memoryMibMax: 512, processesMax: 128, cpusMax: 2 };
    const { box, guest: start } = await openBox(test.socketPath, limits, { folders });
    // Somebody without power: what is theirs outside is theirs inside as well.
    for (const path of ["", "internal", "run/guest.lock", "run/deno", "run/deno/location_data"]) {
      Deno.chownSync(join(folders.root, path), 1_001, 1_001);
    }
    const guest = start();
    const port = await guest.listening;
    const [id] = await guestContainers(test.engine);
    assert.equal((await test.engine.inspect(id!, signal))!.pid, guest.pid);
    const status = Deno.readTextFileSync(`/proc/${guest.pid}/status`);
    assert.match(status, /^Uid:\s+1001\s+1001/m);
    assert.match(status, /^NoNewPrivs:\s+1/m);
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.match(status, /^Seccomp:\s+2/m);
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`).then((answer) => answer.json())).status, "ok");
    assert.equal(Deno.statSync(`${folders.internal}/oxydra.db`).uid, 1_001);
    assert.equal(await guest.started.body.owns(port + 1), false);
    await guest.close();
    assert.equal(await guest.exited, 0);
    assert.ok(!isAlive(guest.pid));
    const next = start({ port });
    assert.equal(await next.listening, port);
    await next.close();
    await box.close();
    assert.deepEqual(await guestContainers(test.engine), []);
    await assert.rejects(Deno.connect({ port, hostname: "127.0.0.1" }));
  },
});

Deno.test({
  name: "openGuestBox() clears away what a killed runner of the same workspace left, and nothing of others",
  ignore,
  async fn() {
    const mine = await openBox(test.socketPath);
    const left = mine.guest();
    await left.listening;
    const other = await openBox(test.socketPath);
    const neighbour = other.guest();
    await neighbour.listening;
    const again = await openBox(test.socketPath, {}, mine);
    assert.equal(await left.exited, 137);
    assert.ok(mine.log.includes("runner: the guest ended: its container was killed"));
    assert.ok(isAlive(neighbour.pid));
    const guest = again.guest();
    await guest.listening;
    await Promise.all([guest.close(), neighbour.close()]);
    await Promise.all([again.box.close(), other.box.close(), mine.box.close()]);
  },
});

Deno.test({
  name: "a guest whose image does not start says why: no Deno can run there, or its libraries are missing",
  ignore,
  async fn() {
    const build = async (name: string, text: string) => {
      const Dockerfile = new TextEncoder().encode(text);
      await test.engine.build(name, toTar({ Dockerfile }), { onLog: () => {} }, AbortSignal.timeout(60_000));
    };
    await build("empty:1", "FROM scratch\nLABEL a=b\n");
    const cases = [["empty:1", /no such file or directory/], [TEST_IMAGE, /shared libraries/]] as const;
    for (const [image, why] of cases) {
      const { box, guest: start } = await openBox(test.socketPath, { image });
      const guest = start();
      await assert.rejects(
        guest.listening,
        (error: Error) => why.test(error.message) && /ended with code/.test(error.message),
      );
      await guest.close();
      await box.close();
    }
    assert.deepEqual(await guestContainers(test.engine), []);
  },
});

Deno.test({
  name: "a guest that needs more memory than it has ends, and only it",
  ignore,
  async fn() {
    const { box, guest: start } = await openBox(test.socketPath, { memoryMibMax: 24 });
    const guest = start();
    await assert.rejects(guest.listening, { code: "guest_failed" });
    await guest.close();
    await box.close();
  },
});

Deno.test({
  name: "an engine that dies under a guest ends it with the reason, and another guest starts when the engine is back",
  ignore,
  async fn() {
    const own = await startGuestEngine();
    try {
      const { box, guest: start, log } = await openBox(own.socketPath);
      const guest = start();
      const port = await guest.listening;
      const { pid } = guest;
      Deno.kill(own.pid, "SIGKILL");
      assert.notEqual(await guest.exited, 0);
      assert.ok(log.some((line) => /the guest ended: .*engine/.test(line)), log.join("\n"));
      const early = start({ port });
      await assert.rejects(early.listening, /engine/);
      await early.close();
      await own.restart();
      const next = start({ port });
      assert.equal(await next.listening, port);
      await waitUntil(() => !isAlive(pid), "the guest of the dead engine lives");
      await next.close();
      await box.close();
    } finally {
      await own.close();
    }
  },
});

Deno.test({
  name: "close() ends a guest that has not started yet, and a kill meanwhile leaves no container",
  ignore,
  async fn() {
    const { box, guest: start } = await openBox(test.socketPath);
    for (const wait of [0, 1, 20, 60, 120]) {
      const guest = start();
      guest.listening.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, wait));
      guest.started.body.kill();
      guest.started.body.kill();
      await guest.exited;
      assert.deepEqual(await guestContainers(test.engine), [], `killed after ${wait} ms`);
    }
    await box.close();
  },
});

Deno.test({
  name: "openGuestBox() refuses an engine or an image that is not there, and a network that is another's",
  ignore,
  async fn() {
    const refused = (message: RegExp) => ({ code: "tier_unavailable", message });
    await assert.rejects(openBox(test.socketPath, { image: "none:1" }), refused(/none:1 is missing.*--tier process/));
    await assert.rejects(openBox("/nowhere/docker.sock"), refused(/container tier cannot be started.*--tier process/));
    using networks = new BoxNetworks(test.socketPath);
    const made = await networks.ensure("taken", { "oxydra.user": "ann" }, signal);
    assert.match(made.gateway, /^\d+\.\d+\.\d+\.\d+$/);
    assert.deepEqual(await networks.ensure("taken", { "oxydra.user": "ann" }, signal), made, "found again");
    await assert.rejects(networks.ensure("taken", { "oxydra.user": "bob" }, signal), refused(/not ours/));
    await networks.remove("taken", signal);
    await networks.remove("taken", signal);
  },
});

Deno.test({
  name: "openGuestBox() makes the image that ships from what is there, and says what to pull when that is missing",
  ignore,
  async fn() {
    const own = await startEngine();
    try {
      await assert.rejects(openBox(own.socketPath), {
        code: "tier_unavailable",
        message: /oxydra-vm:latest is missing.*run: docker pull debian:12-slim.*--tier process/,
      });
      const describe = () => {
        const settings = { tier: "container", image: GUEST_IMAGE } as const;
        return describeBox(settings, { DOCKER_HOST: `unix://${own.socketPath}` }, signal);
      };
      await assert.rejects(describe(), { code: "tier_unavailable", message: /docker pull.*--tier process/ });
      await makeGuestImage(own.engine, "debian:12-slim");
      const before = await describe();
      const { box, guest: start, log } = await openBox(own.socketPath);
      assert.match(before, /^Docker [^,]+, image oxydra-vm:latest \(made at the first start\)$/);
      assert.match(await describe(), /^Docker [^,]+, image oxydra-vm:latest$/);
      assert.ok(log.some((line) => line.startsWith("image: Step 1/1 : FROM debian:12-slim")), log.join("\n"));
      const guest = start();
      await guest.listening;
      await guest.close();
      await box.close();
    } finally {
      await own.close();
    }
  },
});
