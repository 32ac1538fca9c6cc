import assert from "node:assert/strict";
import { WallHouse } from "./wall_kit.ts";

Deno.test("BwrapTier runs a command with its folders, its environment and its end", async () => {
  await using house = await WallHouse.open();
  Deno.writeTextFileSync(`${house.shared}/a.txt`, "a\n");
  const ran = await house.run('cat a.txt - && echo "$PWD $HOME $WORD $#" && touch /tmp/b && exit 7', {
    env: { WORD: "two words" },
  }, "b\n");
  assert.deepEqual(ran, { stdout: "a\nb\n/shared /tmp two words 0\n", stderr: "", code: 7 });
  assert.ok(Deno.statSync(`${house.tmp}/b`).isFile);
});

Deno.test("BwrapTier tries itself", async () => {
  await using house = await WallHouse.open();
  const t = performance.now();
  console.log(await house.driver.probe(), performance.now() - t);
});
