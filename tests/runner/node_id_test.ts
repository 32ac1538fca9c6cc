import assert from "node:assert/strict";
import { toNodeId } from "#/runner/node_id.ts";

Deno.test("toNodeId() is the same for a folder however it is named, and another for each folder", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [one, two, link] = [`${dir}/one`, `${dir}/two`, `${dir}/link`];
    await Deno.mkdir(one);
    await Deno.mkdir(two);
    await Deno.symlink(one, link);
    assert.match(await toNodeId(one), /^[0-9a-f]{64}$/);
    assert.equal(await toNodeId(one), await toNodeId(link));
    assert.notEqual(await toNodeId(one), await toNodeId(two));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
