import { type Bench, percentile } from "./row.ts";
import { makeBenchFolders, runLanes } from "./tool_bed.ts";

const CALLS = 400;
const WARM_CALLS = 50;
/** The second way to ask: with pauses, as a model makes them. Processes that slept answer later. */
const GAP_MS = 5;

/** One file_read, seen from the guest: its frame to the broker, grant, audit log, child, the file, and back. */
export const toolCall: Bench = {
  name: "tool_call",
  async run() {
    const folders = makeBenchFolders();
    const lane = { tool: "file_read", args: { path: "/shared/four.txt" }, count: CALLS };
    const [times, apart] = [
      await runLanes(folders, [{ ...lane, gapMs: 0 }]),
      await runLanes(folders, [{ ...lane, gapMs: GAP_MS }]),
    ]
      .map(([all]) => all!.slice(WARM_CALLS)) as [number[], number[]];
    await Deno.remove(folders.root, { recursive: true });
    const way =
      `guest → broker → child → broker → guest, audited, without the event log; ${times.length} calls one after another`;
    const toNote = (p: number) => `${way}; ${GAP_MS} ms apart ${percentile(apart, p).toFixed(2)} ms`;
    return [
      { name: "file_read of 4 KiB, p50", value: percentile(times, 0.5), unit: "ms", target: 3, note: toNote(0.5) },
      { name: "file_read of 4 KiB, p95", value: percentile(times, 0.95), unit: "ms", target: 12, note: toNote(0.95) },
    ];
  },
};
