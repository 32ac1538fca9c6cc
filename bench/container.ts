import { openIn } from "../tests/contract/tier_contract.ts";
import { hasRunsc, whyNoEngine } from "../tests/fixture/engine.ts";
import { type ContainerBed, withContainers } from "../tests/sandbox/container_kit.ts";
import { type Bench, median, type Row, timed } from "./row.ts";

const STARTS = 10;
const ROUNDS = 100;

/** A container of the shell's: until it answers, and a line there and back when it is warm; under the engine's own runtime and under gVisor. */
export const container: Bench = {
  name: "container",
  async run() {
    if (whyNoEngine() !== undefined) return [];
    const names = hasRunsc() ? ["container", "micro_vm"] as const : ["container"] as const;
    const rows: Row[] = [];
    for (const name of names) {
      await withContainers(async (bed) => void rows.push(...await measure(name, bed)), { name });
    }
    return rows;
  },
};

async function measure(name: string, bed: ContainerBed): Promise<Row[]> {
  const [starts, rounds]: [number[], number[]] = [[], []];
  // The first one tries the engine besides.
  const { about } = await bed.driver.probe();
  for (let start = 0; start < STARTS; start++) {
    const openedAt = performance.now();
    const walled = await openIn(bed, ["/bin/bash", "-c", "echo; while read -r line; do echo $line; done"]);
    const [reader, writer] = [walled.stdout.getReader(), walled.stdin.getWriter()];
    await reader.read();
    starts.push(performance.now() - openedAt);
    const line = new TextEncoder().encode("x\n");
    for (let round = 0; round < ROUNDS / STARTS; round++) {
      rounds.push(
        await timed(async () => {
          await writer.write(line);
          await reader.read();
        }),
      );
    }
    await writer.close();
    await Promise.all([walled.exited, reader.cancel(), walled.stderr.cancel()]);
  }
  return [
    {
      name: `${name}: start to ready`,
      value: median(starts),
      unit: "ms",
      target: 2_500,
      note: `${STARTS} starts, ${about}`,
    },
    { name: `${name}: a line there and back, warm`, value: median(rounds), unit: "ms", note: `median of ${ROUNDS}` },
  ];
}
