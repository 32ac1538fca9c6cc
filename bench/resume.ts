import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { reply, text, waitFor } from "../tests/fake/openai_reply.ts";
import { startFakeOpenAi } from "../tests/fake/openai_server.ts";
import { connectRaw, makeMachine, processTree, spawnOxydra, startGateway, vendorEnv } from "../tests/fixture/system.ts";
import { type Bench, median, percentile } from "./row.ts";

const ROUNDS = 15;
/** Between two looks at the log. */
const LOOK_MS = 1;

/** From SIGKILL of every process of a running turn, over a new start, to the first event that the resumed turn records. */
export const resume: Bench = {
  name: "resume",
  async run() {
    // A reply that never comes: the turn is open in each round.
    const vendor = await startFakeOpenAi(() => reply([text("I think "), waitFor(new Promise(() => {}))]));
    const machine = await makeMachine();
    const options = { cwd: machine.cwd, env: { ...machine.env, ...vendorEnv(vendor.url) } };
    const workspace = join(machine.cwd, ".oxydra/workspaces/default");
    try {
      const first = await startGateway(options);
      const client = await connectRaw(first, { session_id: "s", capabilities: ["named_sessions"] });
      const times: number[] = [];
      let running = first.process;
      for (let round = 0; round < ROUNDS; round++) {
        // A turn of its own each round: one that comes to nothing again and again is given up.
        const gateway = round === 0 ? { port: first.port, token: first.token } : await readEndpoint(workspace);
        const sender = round === 0 ? client : await connectRaw(gateway, { session_id: "s" });
        if (round > 0) sender.send("cancel_all_active_turns", { request_id: "c" });
        sender.send("send_turn", { request_id: "r", session_id: "s", turn_id: `t${round}`, prompt: "go" });
        await sender.next(({ type, payload }) => type === "assistant_delta" && payload.turn.turn_id === `t${round}`);
        using db = new DatabaseSync(join(workspace, "internal/oxydra.db"), { readOnly: true });
        const last = () => Number(db.prepare("SELECT max(id) AS id FROM events").get()!["id"]);
        const before = last();
        const startedAt = performance.now();
        for (const pid of processTree(running.pid).reverse()) kill(pid);
        await running.status;
        running = spawnOxydra(["chat"], { ...options, pipeStdin: true });
        void running.stdout.cancel();
        void running.stderr.cancel();
        while (last() === before) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        times.push(performance.now() - startedAt);
      }
      for (const pid of processTree(running.pid).reverse()) kill(pid);
      await running.status;
      const note = `median of ${ROUNDS}, worst ${
        percentile(times, 1).toFixed(0)
      } ms; the start of every process is in it`;
      return [{
        name: "SIGKILL of everything → first event of the resumed turn",
        value: median(times),
        unit: "ms",
        target: 1_000,
        note,
      }];
    } finally {
      await vendor.close();
      await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    }
  },
};

async function readEndpoint(workspace: string): Promise<{ port: number; token: string }> {
  const path = join(workspace, "ipc/gateway-endpoint");
  const isThere = () => Deno.stat(path).then(() => true, () => false);
  while (!await isThere()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const url = new URL(Deno.readTextFileSync(path).trim());
  return { port: Number(url.port), token: url.searchParams.get("token")! };
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It went with another one.
  }
}
