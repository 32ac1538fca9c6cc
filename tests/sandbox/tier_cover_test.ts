import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { findCovered } from "#/sandbox/tier_cover.ts";

const signal = new AbortController().signal;

Deno.test("findCovered() finds settings at any depth, follows no link and takes no file", async () => {
  const root = Deno.makeTempDirSync();
  for (const name of [".oxydra/deep", "a/b/.Oxydra", "c", ".oxydra-tmp-1"]) {
    Deno.mkdirSync(join(root, name), { recursive: true });
  }
  Deno.symlinkSync(join(root, "a"), join(root, "link"));
  Deno.symlinkSync("/", join(root, "c/.oxydra"));
  Deno.writeTextFileSync(join(root, "a/.oxydra"), "a file");
  assert.deepEqual((await findCovered(root, "/shared", signal)).toSorted(), ["/shared/.oxydra", "/shared/a/b/.Oxydra"]);
  assert.deepEqual(await findCovered(join(root, "nowhere"), "/tmp", signal), []);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("findCovered() looks at the higher folders first, and at no more than its bound", async () => {
  const root = Deno.makeTempDirSync();
  for (let index = 0; index < LIMITS.wallCoverFoldersMax; index++) Deno.mkdirSync(join(root, `d${index}`));
  for (let index = 0; index < LIMITS.wallCoverFoldersMax; index++) Deno.mkdirSync(join(root, `d${index}/.oxydra`));
  // The root itself is one of them.
  assert.equal((await findCovered(root, "/shared", signal)).length, LIMITS.wallCoverFoldersMax - 1);
  const stopped = AbortSignal.abort();
  const error = await findCovered(root, "/shared", stopped).then(() => undefined, (thrown) => thrown);
  assert.ok(error === undefined || error.code === "cancelled");
  Deno.removeSync(root, { recursive: true });
});
