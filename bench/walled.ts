import { LIMITS_OF_TESTS, WallHouse } from "../tests/sandbox/wall_kit.ts";
import { type Bench, median, timed } from "./row.ts";

const ROUNDS = 20;
const TOGETHER = 20;

/** What the walls around a shell cost: to stand up, to try, and twenty of them at once. */
export const walled: Bench = {
  name: "walled",
  async run({ quick }) {
    await using house = await WallHouse.open();
    const status = await house.driver.probe();
    if (!status.available) throw new Error(status.reason);
    const rounds = quick ? 5 : ROUNDS;
    const starts: number[] = [];
    const plain: number[] = [];
    const tries: number[] = [];
    for (let round = -2; round < rounds; round++) {
      const walledMs = await timed(async () => void await house.run("echo"));
      const plainMs = await timed(async () => void await new Deno.Command("bash", { args: ["-c", "echo"] }).output());
      await using other = await WallHouse.open();
      const triedMs = await timed(async () => void await other.driver.probe());
      if (round < 0) continue;
      starts.push(walledMs);
      plain.push(plainMs);
      tries.push(triedMs);
    }
    const together = await timed(async () => {
      await Promise.all(Array.from({ length: TOGETHER }, () => house.run("echo", { limits: LIMITS_OF_TESTS })));
    });
    return [
      {
        name: "a walled bash, from nothing to its end",
        value: median(starts),
        unit: "ms",
        target: 60,
        note: `median of ${rounds}; a bash without walls takes ${median(plain).toFixed(1)} ms`,
      },
      {
        name: "the first look whether walls stand here",
        value: median(tries),
        unit: "ms",
        target: 60,
        note: "bwrap --version, then one process in all of them",
      },
      {
        name: `${TOGETHER} walled shells at once, each to its end`,
        value: together,
        unit: "ms",
        note: `${(together / TOGETHER).toFixed(1)} ms each`,
      },
    ];
  },
};
