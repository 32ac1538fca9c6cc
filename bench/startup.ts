import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeMachine, spawnOxydra } from "../tests/fixture/system.ts";
import { type Bench, median, type Row } from "./row.ts";

const ROUNDS = 15;
const MOD = fileURLToPath(new URL("../mod.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

/** Start-up, against an empty script in the same rounds: on a busy machine both are slower, the ratio stays. */
export const startup: Bench = {
  name: "startup",
  async run() {
    const machine = await makeMachine();
    const empty = join(machine.cwd, "empty.ts");
    await Deno.writeTextFile(empty, "");
    const commands: Readonly<Record<string, () => Promise<number>>> = {
      empty: () => runScript([empty], machine),
      version: () => runScript(["--config", CONFIG, MOD, "--version"], machine),
      help: () => runScript(["--config", CONFIG, MOD, "--help"], machine),
      config: () => runScript(["--config", CONFIG, MOD, "config", "show"], machine),
      gateway: () => startGatewayOnce(machine),
    };
    const times = new Map<string, number[]>(Object.keys(commands).map((name) => [name, []]));
    for (let round = -1; round < ROUNDS; round++) {
      for (const [name, run] of Object.entries(commands)) {
        const ms = await run();
        // The first round fills caches.
        if (round >= 0) times.get(name)!.push(ms);
      }
    }
    await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    const base = median(times.get("empty")!);
    const row = (name: string, key: string, target: number): Row => {
      const ms = median(times.get(key)!);
      const note = `${ms.toFixed(0)} ms against ${base.toFixed(0)} ms of an empty script, ${ROUNDS} rounds`;
      return { name, value: ms / base, unit: "×", target, note };
    };
    return [
      row("oxydra --version", "version", 1.5),
      row("oxydra --help", "help", 4),
      row("oxydra config show", "config", 6),
      row("command start → gateway listening", "gateway", 10),
    ];
  },
};

/** Where a command is started. */
export interface Machine {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

async function runScript(args: readonly string[], { cwd, env }: Machine): Promise<number> {
  const startedAt = performance.now();
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", ...args],
    cwd,
    env: { ...env, HOME: Deno.env.get("HOME")!, DENO_NO_UPDATE_CHECK: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return performance.now() - startedAt;
}

/** From the start of the command to its endpoint file, which the runner writes when gateway and broker are both ready. */
export async function startGatewayOnce(machine: Machine, options: readonly string[] = []): Promise<number> {
  const ipc = join(machine.cwd, ".oxydra/workspaces/default/ipc");
  await Deno.mkdir(ipc, { recursive: true, mode: 0o700 });
  using watcher = Deno.watchFs(ipc);
  const startedAt = performance.now();
  const child = spawnOxydra(["chat", ...options], { ...machine, pipeStdin: true });
  let ms = 0;
  for await (const { paths } of watcher) {
    if (!paths.some((path) => path.endsWith("/gateway-endpoint"))) continue;
    ms = performance.now() - startedAt;
    break;
  }
  await child.stdin.close();
  await Promise.all([child.status, child.stdout.cancel(), child.stderr.cancel()]);
  return ms;
}
