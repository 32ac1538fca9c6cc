import { join } from "node:path";
import { newToken } from "#/lib/token.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import { makeFolders, thisProgram } from "../tests/fixture/workspace.ts";
import { readLine } from "./bed.ts";
import { type Bench, median, percentile, type Row, wallMs } from "./row.ts";

const CLIENTS = 500;
const RATE = 20;
const SECONDS = 10;

/** What one run saw. */
interface Seen {
  readonly waits: readonly number[];
  readonly dropped: number;
  readonly lost: number;
  /** Of one core, that the gateway was busy. */
  readonly busy: number;
}

/** 500 clients, each in a session of its own whose turn streams 20 deltas a second; each delta carries the time at which its source yielded it. */
export const clients: Bench = {
  name: "clients",
  async run() {
    const { process, folder, token, port } = await startGateway();
    try {
      const seen = await measure(port, token, process.pid);
      const [load = 0] = Deno.loadavg();
      const note = `source's yield → client's message event, ${seen.waits.length} deltas of ${SECONDS} s; ` +
        `the gateway was busy ${(seen.busy * 100).toFixed(0)} % of a core, load ${load.toFixed(1)}`;
      return [
        {
          name: `${CLIENTS} clients, ${RATE} deltas/s each: a delta, p50`,
          value: median(seen.waits),
          unit: "ms",
          note,
        },
        { name: "the same, p99", value: percentile(seen.waits, 0.99), unit: "ms", target: 15, note },
        {
          name: "the same, clients dropped",
          value: seen.dropped,
          unit: "×",
          target: 0,
          note: `${seen.lost} deltas lost`,
        },
      ] satisfies Row[];
    } finally {
      process.kill("SIGKILL");
      await process.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
};

/** With the very flags of a guest, but for its entry. */
async function startGateway() {
  const folder = await Deno.makeTempDir({ prefix: "oxydra-bench-" });
  const folders = makeFolders();
  const token = newToken();
  const plan = planGuest({
    program: thisProgram(),
    env: {},
    internalDir: folder,
    lockPath: join(folders.run, "guest.lock"),
    port: 0,
    hosts: [],
  });
  await Deno.copyFile(new URL("../deno.lock", import.meta.url), join(folders.run, "guest.lock"));
  const entry = plan.args.findIndex((arg) => arg.endsWith("app/guest.ts"));
  const args = plan.args.with(entry, new URL("clients_gateway.ts", import.meta.url).href);
  const process = new Deno.Command(plan.command, {
    args: [...args, folder, token, String(RATE)],
    clearEnv: true,
    env: { ...plan.env, HOME: Deno.env.get("HOME") ?? "", DENO_DIR: Deno.env.get("DENO_DIR") ?? "" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  return { process, folder, token, port: Number(await readLine(process.stdout)) };
}

async function measure(port: number, token: string, pid: number): Promise<Seen> {
  const waits: number[] = [];
  const deltas = RATE * SECONDS;
  let [got, dropped] = [0, 0];
  const open = async (): Promise<{ socket: WebSocket; done: Promise<void>; start: () => void }> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?token=${token}`);
    const greeted = Promise.withResolvers<string>();
    const done = Promise.withResolvers<void>();
    socket.onmessage = ({ data }) => {
      const now = wallMs();
      const { type, payload } = JSON.parse(data);
      if (type === "assistant_delta") {
        got++;
        waits.push(now - Number(payload.delta));
      }
      if (type === "hello_ack") greeted.resolve(payload.session.session_id);
      if (type === "turn_completed") done.resolve();
    };
    socket.onclose = () => {
      dropped++;
      done.resolve();
    };
    await new Promise((resolve) => socket.onopen = resolve);
    const hello = { request_id: "h", protocol_version: 2, user_id: "bench", create_new_session: true };
    socket.send(JSON.stringify({ type: "hello", payload: hello }));
    const session_id = await greeted.promise;
    const turn = { request_id: "r", session_id, turn_id: "t", prompt: String(deltas) };
    return {
      socket,
      done: done.promise,
      start: () => socket.send(JSON.stringify({ type: "send_turn", payload: turn })),
    };
  };
  const all = [];
  for (let at = 0; at < CLIENTS; at++) all.push(await open());
  const startedAt = performance.now();
  const before = cpuMs(pid);
  for (const { start } of all) start();
  await Promise.all(all.map(({ done }) => done));
  const busy = (cpuMs(pid) - before) / (performance.now() - startedAt);
  const closed = dropped;
  for (const { socket } of all) socket.close();
  // What the start itself costs is over after the first second.
  return { waits: waits.slice(CLIENTS * RATE), dropped: closed, lost: CLIENTS * deltas - got, busy };
}

/** What a process has computed, in ms: utime and stime of proc(5), in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
