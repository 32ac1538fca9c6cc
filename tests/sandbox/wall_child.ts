/**
 * A runner of its own: `deno run -A wall_child.ts <folder> <limits as JSON> <command>`. Runs one command behind walls and prints how it
 * ended as JSON; a line `open <pid of bwrap's parent>` before it, when its walls stand.
 */
import type { TierLimits } from "#/sandbox/tier.ts";
import { LIMITS_OF_TESTS, WallHouse } from "./wall_kit.ts";

const [root, limits, command] = Deno.args as [string, string, string];
await using house = await WallHouse.open(root);
const walled = await house.start(["/bin/bash", "-c", command], {
  limits: { ...LIMITS_OF_TESTS, ...JSON.parse(limits) as Partial<TierLimits> },
});
console.log(`open ${Deno.pid}`);
const [stdout, stderr, end] = await Promise.all([
  new Response(walled.stdout).text(),
  new Response(walled.stderr).text(),
  walled.exited,
]);
console.log(JSON.stringify({ stdout, stderr, ...end }));
