/** One process after a restart: `deno run -A long_history_child.ts FOLDER SUMMARISED TURN` prints the ms from a message to the model call of TURN and of the next. */
import { openSessionBed } from "./long_history_bed.ts";

const [folder, summarised, turn] = Deno.args;
const bed = await openSessionBed(folder!, { summarised: summarised === "true" });
const first = await bed.turn("s", Number(turn));
const second = await bed.turn("s", Number(turn) + 1);
await bed.close();
console.log(JSON.stringify({ first, second }));
