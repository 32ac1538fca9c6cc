/**
 * What a guest's permissions are enough for: uses the log in the folder of `permission_child.ts <path>` and prints one JSON line.
 */
import { openEventLog } from "#/memory/sqlite.ts";
import { toPublicError } from "#/core/error.ts";
import { blobOf, messageOf, SAMPLES, sessionOf } from "../contract/event_samples.ts";

const path = Deno.args[0]!;
const kinds = ["net", "env", "run", "ffi", "sys", "read", "write"] as const;
const permissions = kinds.filter((name) => Deno.permissions.querySync({ name }).state === "granted");
try {
  const log = await openEventLog({ path, now: Date.now });
  await log.ensureSession(sessionOf("s"));
  const blob = await blobOf(new Uint8Array(100_000));
  await log.append("s", "t", [{ ...messageOf("hello"), blobs: [blob] }], { durability: "full" });
  await log.append("s", "t", [SAMPLES.turn_done], { durability: "normal" });
  const read = (await log.read("s", { fromSeq: 1, limit: 10 })).length;
  const blobBytes = (await log.blob(blob.sha256))?.length;
  await log.close();
  console.log(JSON.stringify({ permissions, read, blobBytes }));
} catch (error) {
  console.log(JSON.stringify({ permissions, error: toPublicError(error, "id") }));
}
