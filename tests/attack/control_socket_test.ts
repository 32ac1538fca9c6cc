/** Another user of this machine puts something in the place of a control socket's folder, to be taken for the runner. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { controlPath } from "#/runner/endpoint.ts";

Deno.test("a folder that is not the owner's alone holds no control socket, whoever made it first", async () => {
  const tmp = await Deno.makeTempDir();
  try {
    const deep = join(tmp, "deep".repeat(30));
    await Deno.mkdir(deep);
    const place = join(tmp, `oxydra-${Deno.uid()}`);
    const plants: readonly (readonly [string, () => Promise<void>])[] = [
      ["a folder that others can enter", () => Deno.mkdir(place).then(() => Deno.chmod(place, 0o711))],
      ["a link to one", async () => {
        await Deno.mkdir(join(tmp, "theirs"), { mode: 0o700 });
        await Deno.symlink(join(tmp, "theirs"), place);
      }],
      ["a file", () => Deno.writeTextFile(place, "")],
      // Only root can give a folder away; elsewhere the other cases say the same.
      ["another user's folder", async () => {
        await Deno.mkdir(place, { mode: 0o700 });
        if (Deno.uid() === 0) await Deno.chown(place, 65_533, 65_533);
        else await Deno.chmod(place, 0o777);
      }],
    ];
    for (const [what, plant] of plants) {
      await plant();
      assert.throws(() => controlPath(deep, tmp), { code: "config_invalid", message: /yours alone/ }, what);
      await Deno.remove(place, { recursive: true });
    }
    assert.match(controlPath(deep, tmp), /oxydra-\d+\/\d+-\d+\.sock$/);
  } finally {
    await Deno.remove(tmp, { recursive: true });
  }
});
