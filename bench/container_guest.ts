import { join } from "node:path";
import { hasRunsc, whyNoEngine } from "../tests/fixture/engine.ts";
import { startGuestEngine } from "../tests/fixture/guest_image.ts";
import { makeMachine } from "../tests/fixture/system.ts";
import { startGatewayOnce } from "./startup.ts";
import { type Bench, median, type Row } from "./row.ts";

const ROUNDS = 9;

/** From the start of the command to its endpoint file, with the guest in a container; beside it the same with a process. */
export const containerGuest: Bench = {
  name: "container_guest",
  async run() {
    if (whyNoEngine() !== undefined) return [];
    const engine = await startGuestEngine();
    const machine = await makeMachine();
    try {
      const env = { ...machine.env, DOCKER_HOST: `unix://${engine.socketPath}` };
      const tiers = ["process", "container", ...(hasRunsc() ? ["micro_vm"] : [])];
      const times = new Map<string, number[]>(tiers.map((tier) => [tier, []]));
      for (let round = -1; round < ROUNDS; round++) {
        for (const tier of tiers) {
          const ms = await startGatewayOnce({ cwd: machine.cwd, env }, ["--tier", tier]);
          // The first round fills caches.
          if (round >= 0) times.get(tier)!.push(ms);
        }
      }
      const process = median(times.get("process")!);
      return tiers.slice(1).map((tier): Row => {
        const ms = median(times.get(tier)!);
        const note = `median of ${ROUNDS}; ${process.toFixed(0)} ms in the process tier, in the same rounds`;
        return {
          name: `command start → gateway listening, tier ${tier}`,
          value: ms / 1_000,
          unit: "s",
          target: 2.5,
          note,
        };
      });
    } finally {
      await engine.close();
      await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    }
  },
};
