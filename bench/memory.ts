import { join } from "node:path";
import { processTree } from "../tests/fixture/system.ts";
import { openBed, runTurn } from "./bed.ts";
import type { Bench } from "./row.ts";

const TURNS = 6;
const READS = 50;
const WAIT_MS = 60_000;

/** Proportional set size of runner, client, guest and tool children together: a page that four processes share counts once. Linux. */
export const memory: Bench = {
  name: "memory",
  async run({ quick }) {
    const bed = await openBed();
    try {
      await Deno.writeTextFile(join(bed.shared, "four.txt"), `${"x".repeat(63)}\n`.repeat(64));
      const before = readPss(bed.gateway.process.pid);
      const client = await bed.connect();
      for (let turn = 0; turn < TURNS; turn++) await runTurn(client, `reads ${READS} /shared/four.txt`);
      const at = readPss(bed.gateway.process.pid);
      if (!quick) await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      const after = readPss(bed.gateway.process.pid);
      client.close();
      const waited = quick ? "at once (--quick)" : "60 s later";
      return [
        { name: "PSS before the first tool call", value: before.total, unit: "MB", target: 130, note: before.parts },
        {
          name: `PSS after ${TURNS * READS} reads, ${waited}`,
          value: after.total,
          unit: "MB",
          target: 200,
          note: `${after.parts}; at once ${at.total.toFixed(0)} MB`,
        },
      ];
    } finally {
      await bed.close();
    }
  },
};

/** Megabytes of a process and everything below it. */
function readPss(pid: number): { total: number; parts: string } {
  const parts = processTree(pid).map((at) => {
    const entry = /\/(\w+)\.ts/.exec(
      Deno.readTextFileSync(`/proc/${at}/cmdline`).split("\0").filter((arg) => arg.endsWith(".ts")).join(" "),
    );
    const kib = Number(/^Pss:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${at}/smaps_rollup`))?.[1] ?? 0);
    return { name: entry?.[1] === "mod" ? "runner" : entry?.[1] ?? "?", mb: kib * 1_024 / 1e6 };
  });
  return {
    total: parts.reduce((sum, { mb }) => sum + mb, 0),
    parts: parts.map(({ name, mb }) => `${name} ${mb.toFixed(0)}`).join(" + "),
  };
}
