import { openBed } from "./bed.ts";
import { type Bench, median, percentile, wallMs } from "./row.ts";

const TURNS = 5;
const DELTAS = 200;

/** Each delta carries the time at which the vendor wrote it; the client looks at the same clock when it gets it. */
export const delta: Bench = {
  name: "delta",
  async run() {
    const bed = await openBed();
    const waits: number[] = [];
    try {
      for (let turn = -1; turn < TURNS; turn++) {
        const client = await bed.connect();
        const prompt = `stamps ${DELTAS}`;
        client.send("send_turn", { request_id: "r", session_id: client.session, turn_id: crypto.randomUUID(), prompt });
        // The moment of arrival, not the moment at which the loop below gets to the frame.
        client.socket.addEventListener("message", ({ data }) => {
          const now = wallMs();
          const { type, payload } = JSON.parse(data);
          if (turn < 0 || type !== "turn_event" || payload.event.type !== "text_delta") return;
          waits.push(...payload.event.payload.text.trim().split(" ").map((stamp: string) => now - Number(stamp)));
        });
        await client.next((frame) => frame.type === "turn_completed");
        client.close();
      }
    } finally {
      await bed.close();
    }
    const note = `vendor's write → client's message event, ${waits.length} deltas 4 ms apart`;
    return [
      { name: "delta on its way, p50", value: median(waits), unit: "ms", target: 1, note },
      { name: "delta on its way, p99", value: percentile(waits, 0.99), unit: "ms", target: 10, note },
    ];
  },
};
