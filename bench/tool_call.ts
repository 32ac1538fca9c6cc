import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { z } from "zod";
import { ByteReader } from "#/lib/byte_reader.ts";
import { TOOL_HOST_DEFAULTS } from "../tests/fixture/workspace.ts";
import { findProgram } from "#/runner/program.ts";
import { openTools } from "#/runner/tool_host.ts";
import { serveBroker } from "#/sandbox/broker_server.ts";
import { type Bench, percentile } from "./row.ts";

const CALLS = 400;
const WARM_CALLS = 50;
/** The second way to ask: with pauses, as a model makes them. Processes that slept answer later. */
const GAP_MS = 5;
const FOLDERS = ["shared", "tmp", "vault", "ipc", "logs", "internal", "run", "audit"] as const;

/** One file_read, seen from the guest: its frame to the broker, grant, child, the file, and back. This process is the runner. */
export const toolCall: Bench = {
  name: "tool_call",
  async run() {
    const root = await Deno.makeTempDir({ prefix: "oxydra-bench-" });
    const folders = Object.fromEntries(FOLDERS.map((name) => [name, join(root, name)])) as Record<Folder, string>;
    for (const path of Object.values(folders)) await Deno.mkdir(path);
    await Deno.writeTextFile(join(folders.shared, "four.txt"), `${"x".repeat(63)}\n`.repeat(64));
    const times = (await measure({ ...folders, root }, 0)).slice(WARM_CALLS);
    const apart = (await measure({ ...folders, root }, GAP_MS)).slice(WARM_CALLS);
    await Deno.remove(root, { recursive: true });
    const way = `guest → broker → child → broker → guest, without the log; ${times.length} calls one after another`;
    const toNote = (p: number) => `${way}; ${GAP_MS} ms apart ${percentile(apart, p).toFixed(2)} ms`;
    return [
      { name: "file_read of 4 KiB, p50", value: percentile(times, 0.5), unit: "ms", target: 3, note: toNote(0.5) },
      { name: "file_read of 4 KiB, p95", value: percentile(times, 0.95), unit: "ms", target: 12, note: toNote(0.95) },
    ];
  },
};

type Folder = (typeof FOLDERS)[number];

async function measure(folders: Record<Folder | "root", string>, gapMs: number): Promise<number[]> {
  const program = findProgram(import.meta.resolve("#/runner/program.ts"));
  const tools = await openTools({
    guestStarted: Promise.resolve(),
    version: "0.0.0",
    program,
    env: Deno.env.toObject(),
    user: "default",
    folders,
    now: Date.now,
    onResolved: () => {},
    ...TOOL_HOST_DEFAULTS,
  });
  const guest = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      ...toConfigFlags(),
      new URL("tool_guest.ts", import.meta.url).href,
      "/shared/four.txt",
      `${CALLS}`,
      `${gapMs}`,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const done = Promise.withResolvers<number[]>();
  const link = serveBroker({ input: new ByteReader(guest.stdout), output: guest.stdin }, tools.broker, {
    schema: z.object({ times: z.array(z.number()) }),
    onNotice: ({ times }) => done.resolve(times),
  });
  void link.closed.then((error) => done.reject(error ?? new Error("the guest of the bench ended early")));
  try {
    return await done.promise;
  } finally {
    await link.close();
    await guest.status;
    await tools.close();
  }
}

function toConfigFlags(): string[] {
  return ["--config", fileURLToPath(new URL("../deno.json", import.meta.url)), "--no-prompt"];
}
