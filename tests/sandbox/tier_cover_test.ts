import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { findCovered } from "#/sandbox/tier_cover.ts";

const signal = new AbortController().signal;

Deno.test("findCovered() finds settings at any depth, follows no link and takes no file", async () => {
  const root = Deno.makeTempDirSync();
  for (const name of [".oxydra/deep", "a/b/.oxydra", "a/.oxydra.", "a/.OXYDRA/.oxydra", "c", ".oxydra-tmp-1"]) {
    Deno.mkdirSync(join(root, name), { recursive: true });
  }
  Deno.symlinkSync(join(root, "a"), join(root, "link"));
  Deno.symlinkSync("/", join(root, "c/.oxydra"));
  Deno.mkdirSync(join(root, "d"));
  Deno.writeTextFileSync(join(root, "d/.oxydra"), "a file");
  assert.deepEqual((await findCovered(root, "/shared", signal)).toSorted(), ["/shared/.oxydra", "/shared/a/b/.oxydra"]);
  assert.deepEqual(await findCovered(join(root, "nowhere"), "/tmp", signal), []);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("findCovered() looks at the higher folders first, and at no more than its bound", async () => {
  const root = Deno.makeTempDirSync();
  for (let index = 0; index < LIMITS.wallCoverFoldersMax; index++) Deno.mkdirSync(join(root, `d${index}`));
  Deno.mkdirSync(join(root, ".oxydra"));
  const names = [...Deno.readDirSync(root)].map(({ name }) => name).filter((name) => name !== ".oxydra");
  // The root itself is one of them, so the last one is not looked at.
  for (const name of [names.at(-1)!, names.at(-2)!]) Deno.mkdirSync(join(root, name, ".oxydra"));
  assert.deepEqual(await findCovered(root, "/shared", signal), ["/shared/.oxydra", `/shared/${names.at(-2)}/.oxydra`]);
  Deno.removeSync(root, { recursive: true });
});

Deno.test("findCovered() refuses more than can be covered", async () => {
  const root = Deno.makeTempDirSync();
  for (let index = 0; index < LIMITS.wallCoveredMax; index++) {
    Deno.mkdirSync(join(root, `d${index}/.oxydra`), { recursive: true });
  }
  assert.equal((await findCovered(root, "/tmp", signal)).length, LIMITS.wallCoveredMax);
  Deno.mkdirSync(join(root, ".oxydra"));
  const message = `/tmp has more than ${LIMITS.wallCoveredMax} folders named .oxydra: delete some`;
  await assert.rejects(findCovered(root, "/tmp", signal), { code: "tier_unavailable", message });
  Deno.removeSync(root, { recursive: true });
});
