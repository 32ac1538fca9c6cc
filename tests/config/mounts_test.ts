import assert from "node:assert/strict";
import { checkMounts, type Mount, type Surroundings, toForbiddenPlaces } from "#/config/mounts.ts";

const OWN = "/w/.oxydra/workspaces/alice";
const AROUND: Surroundings = {
  configFolders: ["/people/a/.config/oxydra", "/w/.oxydra"],
  workspaceRoot: "/w/.oxydra/workspaces",
  own: {
    root: OWN,
    internal: `${OWN}/internal`,
    run: `${OWN}/run`,
    audit: `${OWN}/audit`,
    ipc: `${OWN}/ipc`,
    logs: `${OWN}/logs`,
  },
  denoDir: "/people/a/.cache/deno",
  programDir: "/w",
};
const check = (...mounts: Mount[]) => checkMounts(mounts, toForbiddenPlaces(AROUND));

Deno.test("checkMounts() accepts the default workspace, which lies in a config folder and in the program's tree", () => {
  check(
    { name: "shared", path: `${OWN}/shared`, within: "/w" },
    { name: "tmp", path: `${OWN}/tmp`, within: "/w" },
    { name: "vault", path: "/data/vault" },
  );
});

Deno.test("checkMounts() refuses a root that equals, contains or lies in a forbidden place, and names both", () => {
  const cases: [string, RegExp][] = [
    ["/people/a/.config/oxydra", /is a config folder/],
    ["/people/a", /contains a config folder.*contains Deno's cache/s],
    ["/people/a/.config/oxydra/x", /lies in a config folder/],
    ["/w/.oxydra/other", /lies in a config folder/],
    ["/w/.oxydra/workspaces/bob/shared", /lies in another user's workspace/],
    ["/w/.oxydra/workspaces", /is another user's workspace/],
    [OWN, /contains the user's internal folder/],
    [`${OWN}/internal`, /is the user's internal folder/],
    [`${OWN}/run/x`, /lies in the user's run folder/],
    [`${OWN}/audit`, /is the user's audit folder/],
    [`${OWN}/ipc`, /is the user's ipc folder/],
    [`${OWN}/logs`, /is the user's logs folder/],
    ["/people/a/.cache/deno/npm", /lies in Deno's cache/],
    ["/w/src", /lies in the program/],
    ["/", /contains a config folder/],
  ];
  for (const [path, expected] of cases) {
    assert.throws(() => check({ name: "shared", path }), (error: Error) => {
      assert.match(error.message, expected, path);
      assert.ok(error.message.includes(path));
      return true;
    });
  }
});

Deno.test("checkMounts() refuses roots that overlap: the vault would be readable as shared", () => {
  assert.throws(
    () => check({ name: "shared", path: "/data" }, { name: "vault", path: "/data/vault" }),
    /mounts\.shared: \/data contains mounts\.vault/,
  );
  assert.throws(() => check({ name: "tmp", path: "/d" }, { name: "vault", path: "/d" }), /is mounts\.vault/);
});

Deno.test("checkMounts() refuses a root that a link took out of the project", () => {
  assert.throws(
    () => check({ name: "shared", path: "/people/b/Documents", within: "/w" }),
    /a link leads out of the project/,
  );
});
