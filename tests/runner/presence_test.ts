import assert from "node:assert/strict";
import { Presence } from "#/runner/presence.ts";

/** What `whenNone` of now has come to, after every job that waited for it. */
async function isNone(presence: Presence): Promise<boolean> {
  let none = false;
  void presence.whenNone().then(() => none = true);
  await new Promise((resolve) => setTimeout(resolve));
  return none;
}

Deno.test("Presence counts clients, and nobody is there before the first", async () => {
  const presence = new Presence();
  assert.ok(await isNone(presence));
  presence.set(2);
  const none = presence.whenNone();
  assert.ok(!await isNone(presence));
  presence.set(0);
  await none;
  assert.ok(await isNone(presence));
});

Deno.test("Presence holds those whom a restart cut off, until they are back or their time is over", async () => {
  const presence = new Presence();
  presence.set(2);
  presence.hold();
  // A second guest that ended before anybody came back.
  presence.hold();
  presence.set(0);
  assert.ok(!await isNone(presence));
  presence.release(60_000);
  presence.set(1);
  presence.set(2);
  presence.set(0);
  assert.ok(await isNone(presence), "all were back, and left");
  presence.set(1);
  presence.hold();
  const none = presence.whenNone();
  presence.release(1);
  await none;
  presence.close();
});

Deno.test("Presence holds nobody where nobody was, nor after close(), which leaves no timer", async () => {
  const presence = new Presence();
  presence.hold();
  presence.release(60_000);
  assert.ok(await isNone(presence));
  presence.set(1);
  presence.hold();
  presence.release(60_000);
  const none = presence.whenNone();
  assert.ok(!await isNone(presence));
  presence.close();
  await none;
});
