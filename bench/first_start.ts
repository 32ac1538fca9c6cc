import { join } from "node:path";
import { makeMachine, runOxydra } from "../tests/fixture/system.ts";
import { type Bench, timed } from "./row.ts";

/** The very first command on a machine: every package is downloaded, every module is compiled. */
export const firstStart: Bench = {
  name: "first_start",
  async run() {
    const machine = await makeMachine();
    const cache = join(machine.cwd, "../deno");
    // The operating system's certificates as well: packages may come through a mirror of the house.
    const env = {
      ...machine.env,
      DENO_DIR: cache,
      DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "mozilla,system",
    };
    const seconds = await timed(() => list({ ...machine, env })) / 1_000;
    const again = await timed(() => list({ ...machine, env })) / 1_000;
    const bytes = sizeOf(cache);
    const packages = sizeOf(join(cache, "npm"));
    await Deno.remove(join(machine.cwd, ".."), { recursive: true });
    return [
      {
        name: "first start from an empty DENO_DIR",
        value: seconds,
        unit: "s",
        note: `oxydra run "list /shared" from a checkout; the next one ${again.toFixed(2)} s`,
      },
      {
        name: "… what it leaves there",
        value: bytes / 1e6,
        unit: "MB",
        note: `packages, unpacked: ${(packages / 1e6).toFixed(1)} MB`,
      },
    ];
  },
};

async function list(options: { cwd: string; env: Record<string, string> }): Promise<void> {
  const { code, err } = await runOxydra(["run", "list /shared"], options);
  if (code !== 0) throw new Error(err);
}

function sizeOf(folder: string): number {
  let bytes = 0;
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) bytes += sizeOf(path);
    else if (entry.isFile) bytes += Deno.statSync(path).size;
  }
  return bytes;
}
