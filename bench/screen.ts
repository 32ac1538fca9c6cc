import { openTui } from "../tests/flow/tui_kit.ts";
import { processTree } from "../tests/fixture/system.ts";
import { openHouse } from "../tests/gateway/house.ts";
import { delta, stored } from "../tests/gateway/scripted_source.ts";
import { type Bench, type Row, timed } from "./row.ts";

const DELTAS = 200;
/** Between two deltas: a fast model, and longer than a frame, so that each delta costs one. */
const PAUSE_MS = 45;
const WORDS = "the quick brown fox jumps over the **lazy** dog, and `code` runs in circles ".split(/(?<= )/);
/** A tick of /proc/PID/stat (sysconf(_SC_CLK_TCK) is 100 on Linux). */
const TICK_MS = 10;

/** What the terminal client costs: its start, its memory, and what one delta takes of CPU and of the line to the terminal. */
export const screen: Bench = {
  name: "screen",
  async run(): Promise<readonly Row[]> {
    await using house = await openHouse();
    let tui!: Awaited<ReturnType<typeof openTui>>;
    const startMs = await timed(async () => {
      tui = await openTui({ ...house, columns: 100, rows: 30 });
      await tui.shows("Type a message");
    });
    const pid = processTree(tui.process.pid).at(-1)!;
    await tui.type("hello\r");
    const turn = await house.source.next();
    await turn.emit(stored("user_message", { text: "hello", channel: "tui" }, 1));
    await tui.shows("› hello");
    const before = { cpuMs: readCpuMs(pid), chars: tui.bytes().length };
    for (let i = 0; i < DELTAS; i++) {
      await turn.emit(delta(`${WORDS[i % WORDS.length]}${i % 40 === 39 ? "\n" : ""}`));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    const cpuMs = readCpuMs(pid) - before.cpuMs;
    const chars = tui.bytes().length - before.chars;
    const memory = readRssMb(pid);
    await tui.type("\x03\x03");
    await tui.end();
    return [
      {
        name: "the screen: from its start to the first frame",
        value: startMs,
        unit: "ms",
        note: "a process with Ink, its terminal and the emulator that reads it",
      },
      {
        name: "the screen: CPU of one delta",
        value: cpuMs / DELTAS,
        unit: "ms",
        note: `${DELTAS} deltas, ${PAUSE_MS} ms apart; ${(chars / DELTAS).toFixed(0)} characters to the terminal each`,
      },
      { name: "the screen: resident memory", value: memory, unit: "MB", note: `after ${DELTAS} deltas` },
    ];
  },
};

function readCpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function readRssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) / 1_000;
}
