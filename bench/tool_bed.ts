/** A tool host without a model: this process is the runner, a process of its own asks for the calls. */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { ByteReader } from "#/lib/byte_reader.ts";
import { findProgram } from "#/runner/program.ts";
import type { ToolsPlan } from "#/runner/plan_tools.ts";
import { openTools } from "#/runner/tool_host.ts";
import { serveBroker } from "#/sandbox/broker_server.ts";
import { makeFolders, TOOL_HOST_DEFAULTS } from "../tests/fixture/workspace.ts";
import type { Lane } from "./tool_guest.ts";

/** The folders of a user, with `four.txt` of 4 KiB in `shared`. */
export function makeBenchFolders(): ReturnType<typeof makeFolders> {
  const folders = makeFolders();
  Deno.writeTextFileSync(`${folders.shared}/four.txt`, `${"x".repeat(63)}\n`.repeat(64));
  return folders;
}

/** Milliseconds of every call of every lane; the lanes run beside each other. Throws when a call fails. */
export async function runLanes(
  folders: ReturnType<typeof makeFolders>,
  lanes: readonly Lane[],
  plan: ToolsPlan = TOOL_HOST_DEFAULTS.plan,
): Promise<number[][]> {
  // What a start lays down for the processes that load modules.
  await Deno.copyFile(new URL("../src/runner/lock.json", import.meta.url), `${folders.run}/guest.lock`);
  const tools = await openTools({
    ...TOOL_HOST_DEFAULTS,
    program: findProgram(import.meta.resolve("#/runner/program.ts")),
    env: Deno.env.toObject(),
    folders,
    plan,
  });
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const entry = new URL("tool_guest.ts", import.meta.url).href;
  const guest = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--config", config, "--no-prompt", entry, JSON.stringify(lanes)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const done = Promise.withResolvers<number[][]>();
  const link = serveBroker({ input: new ByteReader(guest.stdout), output: guest.stdin }, tools.broker, {
    schema: z.object({ times: z.array(z.array(z.number())) }),
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
