/**
 * SIGKILL at random microseconds, from outside, of guest, runner and tool child: what a client was shown is in the log, nothing happens twice, and
 * every turn ends.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import {
  assertDurable,
  CrashHouse,
  insertLine,
  killGuest,
  type LoggedEvent,
  noteShown,
  playSteps,
  readAudit,
  readEvents,
  type StepCalls,
  toRandom,
  waitFor,
} from "../fixture/crash_house.ts";
import { connectRaw, type LiveGateway, processTree, startGateway } from "../fixture/system.ts";
import { withVendorMachine } from "../fixture/vendor_machine.ts";

/** Kills of guest and child beside a runner that lives, and of whole starts. Together 200. */
const KILLS = { parts: 160, starts: 40 };
/** How long a process lives, from its start, or from its first event on. */
const LIFE_MS_MAX = { started: 400, atWork: 80 };

const read = ["file_read", { path: "/shared/journal.md" }] as const;
const toSteps = (round: number) =>
  Array.from({ length: 12 }, (_, n): StepCalls => {
    return n % 3 === 2 ? [read, insertLine(`line ${round}.${n}`), read] : [insertLine(`line ${round}.${n}`)];
  });

const isEnd = ({ type }: LoggedEvent) => type.startsWith("turn_");

function assertOnce(journal: string): void {
  const lines = journal.trim().split("\n");
  assert.equal(new Set(lines).size, lines.length, `a line twice:\n${journal}`);
  assert.deepEqual([lines.at(0), lines.at(-1)], ["BEGIN", "END"]);
}

async function withSeed(test: (random: () => number) => Promise<void>): Promise<void> {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  await test(toRandom(seed)).catch((error) => {
    console.error(`seed ${seed}`);
    throw error;
  });
}

Deno.test(`${KILLS.parts} SIGKILLs at random microseconds of a guest or of its tool children`, () =>
  withSeed(async (random) => {
    await using house = await CrashHouse.open(toSteps);
    let [kills, round] = [0, 0];
    let { guest, client } = house.start();
    while (kills < KILLS.parts || !isEnd(house.events().at(-1)!)) {
      const last = round === 0 ? undefined : house.events().at(-1);
      if (last === undefined || isEnd(last)) {
        const sent = await client.catch(() => undefined);
        if (sent === undefined) ({ guest, client } = house.start());
        else {
          house.send(sent, round++);
          await house.eventsBehind(last?.seq ?? 0);
        }
        continue;
      }
      if (kills >= KILLS.parts) {
        await house.eventsBehind(last.seq);
        continue;
      }
      if (random() < 0.3) await waitFor(random() * LIFE_MS_MAX.started);
      else {
        await house.eventsBehind(last.seq);
        await waitFor(random() * LIFE_MS_MAX.atWork);
      }
      const [child] = house.children;
      if (random() < 0.5 && child !== undefined) kills += kill(child);
      else {
        kills++;
        await killGuest(guest);
        ({ guest, client } = house.start());
      }
    }
    assertDurable({ events: house.events(), shown: house.shown, audit: house.audit() });
    assertOnce(house.journal());
    assert.ok(house.shown.size > 20, `${house.shown.size} events were shown`);
  }));

/** How many processes that killed: one that ended by itself a moment ago is none. */
function kill(pid: number): number {
  try {
    Deno.kill(pid, "SIGKILL");
    return 1;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** The process to kill: the runner, its guest, or what it started last. */
function choose(gateway: LiveGateway, random: () => number): number {
  const [runner, ...below] = processTree(gateway.process.pid);
  const guest = below.find((pid) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("app/guest.ts");
    } catch {
      return false;
    }
  });
  return [runner!, guest ?? runner!, below.at(-1) ?? runner!][Math.floor(random() * 3)]!;
}

Deno.test(`${KILLS.starts} SIGKILLs at random microseconds of runner, guest or child, and a new start behind each`, () =>
  withSeed((random) =>
    withVendorMachine(playSteps(toSteps), async (machine) => {
      const workspace = join(machine.cwd, ".oxydra/workspaces/default");
      await Deno.mkdir(join(workspace, "shared"), { recursive: true });
      await Deno.writeTextFile(join(workspace, "shared/journal.md"), "BEGIN\nEND\n");
      const shown = new Map<number, LoggedEvent>();
      const endpoint = join(workspace, "ipc/gateway-endpoint");
      let [kills, round] = [0, 0];
      for (let isOver = false; !isOver;) {
        await Deno.remove(endpoint).catch(() => {});
        const gateway = await startGateway(machine);
        const client = await connectRaw(gateway, { session_id: "s", capabilities: ["turn_events", "named_sessions"] });
        noteShown(client, shown);
        await client.next((frame) => frame.type === "hello_ack");
        using db = new DatabaseSync(join(workspace, "internal/oxydra.db"), { readOnly: true });
        const isIdle = () => readEvents(db).every((event, at, all) => at < all.length - 1 || isEnd(event));
        const before = readEvents(db).length;
        const isEarly = random() < 0.3;
        let end = isEarly ? performance.now() + random() * LIFE_MS_MAX.started : Infinity;
        while (performance.now() < end || kills >= KILLS.starts) {
          if (end === Infinity && readEvents(db).length > before) {
            end = performance.now() + random() * LIFE_MS_MAX.atWork;
          }
          if (isIdle()) {
            if (kills >= KILLS.starts) break;
            client.send("send_turn", { request_id: "r", session_id: "s", turn_id: `t${round}`, prompt: `${round++}` });
            while (isIdle()) await new Promise((resolve) => setTimeout(resolve, 1));
          }
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        isOver = kills++ >= KILLS.starts;
        if (!isOver) kill(choose(gateway, random));
        client.close();
        await gateway.stop();
      }
      using db = new DatabaseSync(join(workspace, "internal/oxydra.db"), { readOnly: true });
      assertDurable({ events: readEvents(db), shown, audit: readAudit(join(workspace, "audit")) });
      assertOnce(await Deno.readTextFile(join(workspace, "shared/journal.md")));
    })
  ));
