/**
 * A runner of its own: `deno run -A wall_child.ts <folder> <limits as JSON> <command>`. Runs one command behind walls and prints how it
 * ended as JSON, after a line `open` when its walls stand. The command `probe` prints what the driver says of itself.
 */
import type { TierLimits } from "#/sandbox/tier.ts";
import { LIMITS_OF_TESTS, WallHouse } from "./wall_kit.ts";

const [root, limits, command] = Deno.args as [string, string, string];
await using house = await WallHouse.open(root);
if (command === "probe") console.log(JSON.stringify(await house.driver.probe()));
else await run();

async function run(): Promise<void> {
  const walled = await house.start(["/bin/bash", "-c", command], {
    limits: { ...LIMITS_OF_TESTS, ...JSON.parse(limits) as Partial<TierLimits> },
  });
  console.log("open");
  const [stdout, stderr, end] = await Promise.all([
    new Response(walled.stdout).text(),
    new Response(walled.stderr).text(),
    walled.exited,
  ]);
  console.log(JSON.stringify({ stdout, stderr, ...end }));
}
