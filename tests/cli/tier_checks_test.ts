import assert from "node:assert/strict";
import { checkTiers, type TierCheck, toTierLines } from "#/cli/tier_checks.ts";
import { makeCacheView } from "#/runner/cache_view.ts";
import { findDenoDir } from "#/runner/prepare.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { join } from "#/lib/path.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

const CHECK: TierCheck = {
  name: "process",
  use: "u",
  chosen: false,
  available: true,
  about: "bubblewrap 0.8.0",
  notes: [],
};

Deno.test("checkTiers() tries each tier, a browser and the way out, and leaves nothing behind", async () => {
  const folders = makeFolders();
  const program = thisProgram();
  makeCacheView(await findDenoDir(denoEnv()), folders.run);
  await writeGuestLock(program, join(folders.run, "guest.lock"));
  const before = [...Deno.readDirSync(folders.ipc), ...Deno.readDirSync(folders.run)].map(({ name }) => name);
  const input = {
    program,
    env: denoEnv(),
    folders,
    tools: NO_TOOLS_PLAN,
    user: { id: "ann", tier: "process" as const },
    image: "shell-vm:latest",
  };
  const checks = await checkTiers(input);
  assert.deepEqual(checks.map(({ name, chosen }) => `${name} ${chosen}`), [
    "process true",
    "container false",
    "micro_vm false",
    "browser false",
    "way out false",
  ]);
  const wayOut = checks.find(({ name }) => name === "way out")!;
  assert.deepEqual([wayOut.available, wayOut.reason], [true, undefined]);
  for (const { available, reason } of checks) assert.equal(available, reason === undefined);
  assert.deepEqual(
    [...Deno.readDirSync(folders.ipc), ...Deno.readDirSync(folders.run)].map(({ name }) => name),
    before,
  );
});

Deno.test("checkTiers() says that a browser needs the configured tier, and what a way out that does not start said", async () => {
  const folders = makeFolders();
  const program = { ...thisProgram(), denoPath: "/bin/false" };
  const tools = NO_TOOLS_PLAN;
  const checks = await checkTiers({
    ...{ program, env: {}, folders, tools, image: "shell-vm:latest" },
    user: { id: "ann", tier: "process" },
  });
  const wayOut = checks.find(({ name }) => name === "way out")!;
  assert.deepEqual([wayOut.available, wayOut.reason], [false, "The egress process did not obey and was stopped"]);
});

Deno.test("toTierLines() aligns what is there with its notes, and what is missing with the command that brings it", () => {
  const missing = {
    available: false,
    about: "none",
    reason: "no engine answers",
    install: "sudo apt-get install docker.io",
  };
  const lines = toTierLines([
    { ...CHECK, chosen: true, notes: ["memory is only polled"] },
    { ...CHECK, ...missing, name: "micro_vm" },
    { ...CHECK, name: "browser", available: false, reason: "no Chromium" },
  ]);
  assert.deepEqual(lines, [
    "✓ process      bubblewrap 0.8.0",
    "               for: u (configured)",
    "               · memory is only polled",
    "✗ micro_vm     no engine answers",
    "               for: u",
    "               to get it: sudo apt-get install docker.io",
    "✗ browser      no Chromium",
    "               for: u",
  ]);
});
