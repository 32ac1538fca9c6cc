import assert from "node:assert/strict";
import { pickTier, toTierName } from "#/sandbox/tiers.ts";

Deno.test("toTierName() says what the process tier is called on each system", () => {
  assert.deepEqual(
    (["linux", "darwin", "windows", "freebsd"] as const).map((os) => toTierName("process", os)),
    ["bubblewrap", "seatbelt", undefined, undefined],
  );
  assert.equal(toTierName("micro_vm", "windows"), "micro_vm");
});

Deno.test("pickTier() opens the driver of this system", async () => {
  const driver = await pickTier("process", { user: "alice", dir: Deno.makeTempDirSync() });
  assert.equal(driver.name, toTierName("process", Deno.build.os));
});

Deno.test("pickTier() opens containers where an engine is named, and says when none is", async () => {
  const options = { user: "alice", dir: Deno.makeTempDirSync() };
  const place = { dockerHost: "unix:///nowhere/docker.sock", uid: 0 };
  const engine = { workspace: "w", place, image: "i:1", isOwnImage: false, onLog: () => {} };
  for (const tier of ["container", "micro_vm"] as const) {
    const driver = await pickTier(tier, { ...options, engine });
    assert.equal(driver.name, tier);
    const { available, reason } = await driver.probe();
    assert.deepEqual([available, reason], [
      false,
      "the container engine at /nowhere/docker.sock is not there",
    ]);
    await assert.rejects(driver.prepare!(), { code: "tier_unavailable" });
    await driver.close!();
    await assert.rejects(pickTier(tier, options), { code: "tier_unavailable" });
  }
});
