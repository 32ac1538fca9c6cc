import assert from "node:assert/strict";
import { type DegradedInput, findDegraded } from "#/cli/posture_degraded.ts";
import { NO_TIERS, toMissing, toStartupStatus } from "#/runner/startup_status.ts";
import { readPermissions } from "#/runner/permissions.ts";

const GOOD: DegradedInput = {
  program: { setprivPath: "/usr/bin/setpriv" },
  os: "linux",
  tier: "process",
  trouble: null,
  processes: [{
    name: "guest",
    permissions: readPermissions(["run", "--allow-net=a.example:443", "file:///e"]),
    environment: [],
  }],
  secrets: [{ name: "forge", hosts: [], private: true, variable: "FORGE", set: true }],
  isStateWhole: true,
  rules: [],
  refused: [],
  startup: undefined,
};

const codes = (change: Partial<DegradedInput>) => findDegraded({ ...GOOD, ...change }).map(({ code }) => code);

Deno.test("findDegraded() names what no installation of this version has", () => {
  assert.deepEqual(codes({}), ["no_os_sandbox"]);
});

Deno.test("findDegraded() has what the runner that lives says of its start", () => {
  const startup = toStartupStatus({ ...NO_TIERS, shell: toMissing("bubblewrap is not installed", "install it") });
  assert.deepEqual(findDegraded({ ...GOOD, startup }).slice(1).map(({ code, why }) => `${code}: ${why}`), [
    "sidecar_unavailable: bubblewrap is not installed (to get it: install it)",
    "sidecar_unavailable: this version has no shell and no browser",
  ]);
});

Deno.test("findDegraded() names each thing that is less than it could be, and why", () => {
  const open = readPermissions(["run", "--allow-net", "--deny-net=10.0.0.0/8,[::1],[::]", "file:///e"]);
  const changes: readonly (readonly [Partial<DegradedInput>, string, RegExp])[] = [
    [{ trouble: "no key" }, "cannot_start", /as things are: no key/],
    [{ isStateWhole: false }, "approvals_damaged", /every session counts as private/],
    [{ processes: [{ name: "egress public", permissions: open, environment: [] }] }, "ipv6_one_wall", /IPv6/],
    [{ os: "darwin" }, "unverified", /darwin/],
    [{ program: { setprivPath: null } }, "no_setpriv", /setpriv/],
    [{ secrets: [{ ...GOOD.secrets[0]!, set: false }] }, "secret_unset", /forge \(FORGE\)/],
    [{ secrets: [{ ...GOOD.secrets[0]!, set: false, variable: null }] }, "secret_unset", /forge \(no variable\)/],
    [{ refused: ["p is damaged"] }, "package_refused", /not used: p is damaged$/],
    [
      { rules: [{ id: "r", kinds: ["log"], agents: ["a"], effect: "allow" }] },
      "agent_is_a_claim",
      /broken guest: r$/,
    ],
  ];
  for (const [change, code, why] of changes) {
    const found = findDegraded({ ...GOOD, ...change }).find((one) => one.code === code);
    assert.match(found?.why ?? "", why, code);
  }
  assert.ok(!codes({ tier: "container" }).includes("no_os_sandbox"));
  assert.ok(
    !codes({ rules: [{ id: "r", kinds: ["log"], agents: ["a"], effect: "deny" }] }).includes("agent_is_a_claim"),
  );
});
