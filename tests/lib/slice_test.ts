import assert from "node:assert/strict";
import { Slice, throwIfAborted } from "#/lib/slice.ts";

Deno.test("Slice.pause() lets others run and notices a cancel", async () => {
  const abort = new AbortController();
  const slice = new Slice(abort.signal);
  assert.equal(slice.used, false);
  setImmediate(() => abort.abort());
  await assert.rejects(slice.pause(), { code: "cancelled" });
  assert.throws(() => throwIfAborted(abort.signal), { code: "cancelled" });
  throwIfAborted(undefined);
});
