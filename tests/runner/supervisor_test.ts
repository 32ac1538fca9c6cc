/** Guests under a supervisor: processes of our own that listen, end and refuse as they are told. */
import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { AppError } from "#/core/error.ts";
import type { GuestProcess } from "#/runner/guest_process.ts";
import { RestartBudget } from "#/runner/restart_budget.ts";
import { Supervisor } from "#/runner/supervisor.ts";

/** A guest that does what the test says. */
class Puppet implements GuestProcess {
  readonly pid = 1;
  readonly clients = 0;
  readonly turns = 0;
  readonly #port = Promise.withResolvers<number>();
  readonly #end = Promise.withResolvers<number>();
  readonly listening = this.#port.promise;
  readonly exited = this.#end.promise;
  readonly said: string[] = [];
  isClosed = false;

  constructor(readonly wanted: number, readonly token: string) {
    this.listening.catch(() => {});
  }

  listen(port: number): void {
    this.#port.resolve(port);
  }

  fail(message: string): void {
    this.#port.reject(new AppError("guest_failed", message));
  }

  end(code: number): void {
    this.#end.resolve(code);
  }

  attachment = () => Promise.reject(new Error("none"));
  notify(): void {}
  drain(ms: number): Promise<void> {
    this.said.push(`drain ${ms}`);
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.fail("closed");
    this.end(0);
    return Promise.resolve();
  }
}

/** Starts guests of which the first `ports` listen; the others do what the test says. */
function openHouse(ports: readonly (number | string)[], port = 0) {
  const guests: Puppet[] = [];
  const told: string[] = [];
  const log: string[] = [];
  let wake = Promise.withResolvers<void>();
  const note = (line: string) => {
    told.push(line);
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const supervisor = new Supervisor({
    spawn(wanted, token) {
      const guest = new Puppet(wanted, token);
      const next = ports[guests.length];
      guests.push(guest);
      if (typeof next === "number") guest.listen(next);
      if (typeof next === "string") guest.fail(next);
      return guest;
    },
    onUp: (port, token) => note(`up ${port} ${token === guests[0]!.token ? "same" : "new"} token`),
    onDown: () => note("down"),
    onCut: () => log.push(`cut off, ${supervisor.isUp ? "up" : "down"}`),
    onLog: (line) => log.push(line),
    budget: new RestartBudget({ now: () => 0, random: () => 0 }),
    port,
    drainMs: 7,
  });
  const until = async (count: number) => {
    while (told.length < count) await wake.promise;
    return told;
  };
  return { supervisor, guests, told, log, until };
}

Deno.test("Supervisor replaces a guest that ended, at the same port with the same token", async () => {
  const { supervisor, guests, until, log } = openHouse([4000, 4000]);
  await supervisor.open();
  assert.deepEqual([supervisor.isUp, supervisor.port, supervisor.restarts], [true, 4000, 0]);
  guests[0]!.end(137);
  assert.deepEqual(await until(3), ["up 4000 same token", "down", "up 4000 same token"]);
  assert.deepEqual([guests[1]!.wanted, supervisor.guest, supervisor.restarts], [4000, guests[1], 1]);
  assert.deepEqual(log, ["runner: the guest ended by itself with code 137", "cut off, down"]);
  await supervisor.close();
  assert.ok(guests[1]!.isClosed);
});

Deno.test("Supervisor takes any port, with another token, when the old one cannot be had", async () => {
  const { supervisor, guests, until, log } = openHouse([4000, "address in use", 5000]);
  await supervisor.open();
  guests[0]!.end(1);
  assert.deepEqual(await until(3), ["up 4000 same token", "down", "up 5000 new token"]);
  assert.deepEqual(guests.map(({ wanted }) => wanted), [0, 4000, 0]);
  assert.match(log.join("\n"), /did not start: address in use/);
  await supervisor.close();
  const fixed = openHouse([4000, "address in use", 4000], 4000);
  await fixed.supervisor.open();
  fixed.guests[0]!.end(1);
  await fixed.until(3);
  assert.deepEqual(fixed.guests.map(({ wanted }) => wanted), [4000, 4000, 4000], "a port that a person wants stays");
  await fixed.supervisor.close();
});

Deno.test("Supervisor gives up after guestCrashesMax guests, says why, and restarts nothing any more", async () => {
  const { supervisor, guests, log } = openHouse([4000, ...Array(20).fill("no model")]);
  await supervisor.open();
  guests[0]!.end(1);
  const error = await supervisor.gaveUp;
  assert.equal(error.code, "guest_failed");
  assert.match(error.message, /more than 5 times in 5 minutes.*the last time: no model$/);
  assert.equal(guests.length, 1 + LIMITS.guestCrashesMax);
  assert.ok(!supervisor.isUp && log.at(-1)!.includes("not started again"));
  await supervisor.close();
  await assert.rejects(supervisor.restart({ apply: unused, revert: unused }), { code: "cancelled" });
});

const unused = () => Promise.reject(new Error("not wanted"));

Deno.test("restart() drains the guest, changes something while none lives, and starts the next; two calls one after another", async () => {
  const { supervisor, guests, told } = openHouse([4000, 4000, 4000]);
  await supervisor.open();
  const order: string[] = [];
  const change = (name: string, at: number) => ({
    apply: () => {
      order.push(`${name} ${guests[at]!.said} ${guests[at]!.isClosed} ${supervisor.isUp}`);
      return Promise.resolve();
    },
    revert: unused,
  });
  await Promise.all([supervisor.restart(change("one", 0)), supervisor.restart(change("two", 1))]);
  assert.deepEqual(order, ["one drain 7 true false", "two drain 7 true false"]);
  assert.deepEqual(told.filter((line) => line.startsWith("up")).length, 3);
  assert.equal(supervisor.restarts, 2);
  await supervisor.close();
});

Deno.test("restart() takes the change back when it fails or no guest starts with it, and throws why", async () => {
  for (const broken of ["apply", "start"]) {
    const { supervisor, guests, until } = openHouse(broken === "apply" ? [4000, 4000] : [4000, "no such host", 4000]);
    await supervisor.open();
    let reverted = 0;
    const restart = supervisor.restart({
      apply: broken === "apply"
        ? () => Promise.reject(new AppError("audit_failed", "no disk"))
        : () => Promise.resolve(),
      revert: () => Promise.resolve(void reverted++),
    });
    await assert.rejects(restart, { code: broken === "apply" ? "audit_failed" : "guest_failed" });
    assert.deepEqual(await until(3), ["up 4000 same token", "down", "up 4000 same token"]);
    assert.deepEqual([reverted, supervisor.isUp, supervisor.guest], [1, true, guests.at(-1)]);
    await supervisor.close();
  }
});

Deno.test("close() ends a guest that is on its way up, and a restart that waits", async () => {
  const { supervisor, guests, until, told } = openHouse([4000]);
  await supervisor.open();
  guests[0]!.end(1);
  await until(2);
  const restart = supervisor.restart({ apply: unused, revert: unused });
  restart.catch(() => {});
  await supervisor.close();
  await assert.rejects(restart, { code: "cancelled" });
  assert.ok(guests.every(({ isClosed, wanted }) => isClosed || wanted === 0));
  assert.deepEqual(told, ["up 4000 same token", "down"]);
});

Deno.test("open() throws what kept the first guest from listening, and tries no second one", async () => {
  const { supervisor, guests } = openHouse(["no store"]);
  await assert.rejects(supervisor.open(), { message: "no store" });
  assert.equal(guests.length, 1);
  await supervisor.close();
});
