import assert from "node:assert/strict";
import { join } from "node:path";
import type { UserFolders } from "#/config/user.ts";
import { LIMITS } from "#/core/limits.ts";
import { readHealth } from "#/cli/control_client.ts";
import { HealthStatus } from "#/runner/control_frames.ts";
import { controlPath, endpointPath, readEndpoint, toEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { acquireRunnerLock } from "#/runner/lock.ts";
import { type Runner, type RunnerInput, startRunner } from "#/runner/runner.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { denoEnv, isAlive, processTree, waitUntil } from "../fixture/system.ts";
import { demoBootstrap, makeFolders, takeLock, thisProgram } from "../fixture/workspace.ts";
import { Client } from "../gateway/house.ts";

function toInput(folders: UserFolders, overrides: Partial<RunnerInput> = {}): RunnerInput {
  const { version, timezone, model, settings, startupStatus } = demoBootstrap("");
  return {
    program: thisProgram(),
    version,
    env: denoEnv(),
    user: "default",
    folders,
    hosts: [],
    bootstrap: () => Promise.resolve({ version, timezone, model, settings, startupStatus }),
    port: 0,
    tools: NO_TOOLS_PLAN,
    lock: acquireRunnerLock(folders.run, 1)!,
    ...overrides,
  };
}

/** Asserts that the next runner could start: nobody has the lock, and no address is left. */
async function assertFree(folders: UserFolders): Promise<void> {
  assert.equal(readEndpoint(folders.ipc), null);
  (await takeLock(folders.run)).release();
}

/** The guests of these folders that live; other tests of this process have guests of their own. */
function guestsOf(folders: UserFolders): number[] {
  return processTree(Deno.pid).filter((pid) => {
    try {
      const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
      // A probe of its walls has the same flags.
      return line.includes(folders.internal) && line.includes("app/guest.ts") && isAlive(pid);
    } catch {
      return false;
    }
  });
}

async function connect(runner: Runner): Promise<Client> {
  const client = await Client.open(runner.endpoint.url);
  client.send("hello", { request_id: "h", protocol_version: 2, user_id: "default" });
  await client.next("hello_ack");
  return client;
}

Deno.test("startRunner() serves a turn whose tools run in children and write into the workspace", async () => {
  const folders = makeFolders();
  const runner = await startRunner(toInput(folders));
  assert.deepEqual(readEndpoint(folders.ipc), runner.endpoint);
  const client = await connect(runner);
  client.turn("t", "write a haiku about rivers to /shared/haiku.txt, then read it back", {
    session_id: "runtime-default",
  });
  assert.equal((await client.next("turn_completed")).payload.turn.state, "completed");
  assert.ok((await Deno.stat(join(folders.shared, "haiku.txt"))).size > 10);
  assert.equal(runner.clients, 1);
  const health = HealthStatus.parse(await readHealth(controlPath(folders.ipc)));
  assert.deepEqual(
    [health.user_id, health.healthy, health.pid, [health.runtime_pid], health.gateway, health.clients, health.version],
    ["default", true, Deno.pid, guestsOf(folders), `127.0.0.1:${runner.endpoint.port}`, 1, "1.2.3"],
  );
  assert.deepEqual([health.audit_head.seq, health.log_dir], [5, folders.logs], "opened, two calls");
  const idle = runner.whenIdle();
  client.socket.close(1000);
  await idle;
  assert.equal(runner.clients, 0);
  await runner.whenIdle();
  assert.equal(guestsOf(folders).length, 1);
  await Promise.all([runner.close(), runner.close()]);
  assert.deepEqual(guestsOf(folders), []);
  await assertFree(folders);
});

Deno.test("startRunner() takes the address of a runner that was killed away before it starts its own", async () => {
  const folders = makeFolders();
  writeEndpoint(folders.ipc, toEndpoint(1, "x".repeat(43)));
  const told = Promise.withResolvers<Awaited<ReturnType<RunnerInput["bootstrap"]>>>();
  const input = toInput(folders);
  const starting = startRunner({ ...input, bootstrap: () => told.promise });
  assert.equal(readEndpoint(folders.ipc), null);
  told.resolve(await input.bootstrap());
  const runner = await starting;
  assert.equal((await Deno.stat(endpointPath(folders.ipc))).mode! & 0o777, 0o600);
  await runner.close();
  await assertFree(folders);
});

Deno.test("startRunner() that cannot start leaves no process, no address and no lock", async () => {
  const broken: readonly (readonly [string, (folders: UserFolders) => Partial<RunnerInput>, RegExp])[] = [
    ["a log that is none", (folders) => {
      Deno.writeTextFileSync(join(folders.internal, "oxydra.db"), "this is no database, long enough to be looked at");
      return {};
    }, /^store_\w+$/],
    ["no bootstrap", () => ({ bootstrap: () => Promise.reject(new Error("no model")) }), /^guest_failed$/],
    [
      "a guest that is not there",
      () => ({ program: { ...thisProgram(), srcUrl: "file:///nowhere/src/" } }),
      /^guest_failed$/,
    ],
  ];
  for (const [name, breakIt, code] of broken) {
    const folders = makeFolders();
    const error = await startRunner(toInput(folders, breakIt(folders))).then(() => undefined, (error) => error);
    assert.match(String(error?.code), code, `${name}: ${error?.stack}`);
    assert.deepEqual(guestsOf(folders), [], name);
    await assertFree(folders);
  }
});

/** Resolves with the pid of a guest that is none of those. */
async function nextGuest(folders: UserFolders, before: readonly number[]): Promise<number> {
  const fresh = () => guestsOf(folders).filter((pid) => !before.includes(pid));
  await waitUntil(() => fresh().length === 1 && readEndpoint(folders.ipc) !== null, "no guest took its place");
  return fresh()[0]!;
}

Deno.test("startRunner() replaces a guest that was killed, at the same address, and says so in health", async () => {
  const folders = makeFolders();
  const runner = await startRunner(toInput(folders));
  const client = await connect(runner);
  const before = runner.endpoint;
  const [guest] = guestsOf(folders);
  const idle = runner.whenIdle().then(() => "idle");
  Deno.kill(guest!, "SIGKILL");
  await client.closed;
  const next = await nextGuest(folders, [guest!]);
  assert.deepEqual([runner.endpoint, readEndpoint(folders.ipc)], [before, before]);
  assert.equal(await Promise.race([idle, Promise.resolve("held")]), "held", "its client may come back");
  const again = await connect(runner);
  again.turn("t", "list /shared", { session_id: "runtime-default" });
  await again.next("turn_completed");
  const { healthy, runtime_pid, guest_restarts, config } = await readHealth(controlPath(folders.ipc));
  assert.deepEqual([healthy, runtime_pid, guest_restarts, config.state], [true, next, 1, "in_force"]);
  again.socket.close(1000);
  assert.equal(await idle, "idle");
  assert.match(Deno.readTextFileSync(join(folders.logs, "runtime.log")), /the guest ended by itself with code 137/);
  await assert.rejects(runner.reload(), { code: "usage" });
  await runner.close();
  await assertFree(folders);
});

Deno.test("startRunner() gives up on guests that are killed again and again, and can still be closed", async () => {
  const folders = makeFolders();
  const runner = await startRunner(toInput(folders));
  let isOver = false;
  const over = runner.gaveUp.then((error) => {
    isOver = true;
    return error;
  });
  const killed = new Set<number>();
  await waitUntil(
    () => {
      const alive = readEndpoint(folders.ipc) === null ? [] : guestsOf(folders).filter((pid) => !killed.has(pid));
      for (const pid of alive) {
        killed.add(pid);
        Deno.kill(pid, "SIGKILL");
      }
      return isOver;
    },
    "it never gives up",
    60_000,
  );
  assert.equal(killed.size, LIMITS.guestCrashesMax + 1);
  const error = await over;
  assert.equal(error.code, "guest_failed");
  assert.match(error.message, /^the guest ended by itself more than 5 times in 5 minutes.*code 137$/);
  assert.equal((await readHealth(controlPath(folders.ipc))).healthy, false);
  await runner.close();
  await assertFree(folders);
});

Deno.test("startRunner() gives up with the reason on guests that cannot start any more", async () => {
  const folders = makeFolders();
  const runner = await startRunner(toInput(folders));
  const [guest] = guestsOf(folders);
  Deno.kill(guest!, "SIGSTOP");
  for (const { name } of [...Deno.readDirSync(folders.internal)]) {
    if (name.startsWith("oxydra.db")) Deno.removeSync(join(folders.internal, name));
  }
  Deno.writeTextFileSync(join(folders.internal, "oxydra.db"), "this is no database, long enough to be looked at");
  Deno.kill(guest!, "SIGKILL");
  const error = await runner.gaveUp;
  assert.match(error.message, /is not started again; the last time: .*oxydra\.db/);
  assert.deepEqual(guestsOf(folders), []);
  await runner.close();
  await assertFree(folders);
});
