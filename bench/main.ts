/**
 * Every number that the README claims: `deno task bench [--quick] [--json] [NAME…]`. Measured, not asserted: the last column says
 * whether a number is within its bound. NAMEs choose groups: startup, turn, delta, clients, cancel, decode, tool_call, history, long_history,
 * guards, search, memory, resident, store, resume, first_start, screen, daemon, walled, container, container_guest, browser,
 * shell.
 */
import { browser } from "./browser.ts";
import { cancel } from "./cancel.ts";
import { container } from "./container.ts";
import { clients } from "./clients.ts";
import { daemon } from "./daemon.ts";
import { containerGuest } from "./container_guest.ts";
import { decode } from "./decode.ts";
import { delta } from "./delta.ts";
import { guards } from "./guards.ts";
import { firstStart } from "./first_start.ts";
import { history } from "./history.ts";
import { longHistory } from "./long_history.ts";
import { screen } from "./screen.ts";
import { shell } from "./shell.ts";
import { memory } from "./memory.ts";
import { resident } from "./resident.ts";
import { resume } from "./resume.ts";
import type { Row } from "./row.ts";
import { search } from "./search.ts";
import { startup } from "./startup.ts";
import { store } from "./store.ts";
import { toTable } from "./table.ts";
import { toolCall } from "./tool_call.ts";
import { turn } from "./turn.ts";
import { walled } from "./walled.ts";

const BENCHES = [
  startup,
  turn,
  delta,
  clients,
  cancel,
  decode,
  toolCall,
  history,
  longHistory,
  store,
  guards,
  search,
  memory,
  resident,
  resume,
  firstStart,
  screen,
  daemon,
  walled,
  container,
  containerGuest,
  browser,
  shell,
];

const names = Deno.args.filter((arg) => !arg.startsWith("--"));
const unknown = names.filter((name) => BENCHES.every((bench) => bench.name !== name));
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(", ")}; there are ${BENCHES.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}

const rows: Row[] = [];
let failed = false;
for (const bench of BENCHES.filter(({ name }) => names.length === 0 || names.includes(name))) {
  console.error(`bench: ${bench.name} …`);
  try {
    rows.push(...await bench.run({ quick: Deno.args.includes("--quick") }));
  } catch (error) {
    // The others still have something to say, e.g. on a machine without a network.
    console.error(`bench: ${bench.name} failed:`, error);
    failed = true;
  }
}
console.log(Deno.args.includes("--json") ? JSON.stringify(rows, null, 2) : toTable(rows));
if (failed) Deno.exit(1);
