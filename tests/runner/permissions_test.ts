import assert from "node:assert/strict";
import { PERMISSIONS, readPermissions } from "#/runner/permissions.ts";
import { planAll } from "#/runner/plan_all.ts";
import { NO_TOOLS_PLAN } from "../fixture/no_tools.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

Deno.test("readPermissions() reads what flags open, for what, and what they take away", () => {
  const args = ["--pdeathsig", "KILL", "--", "/deno", "run", "-q", "--no-prompt", "--allow-read=/a,/b", "--allow-net"];
  assert.deepEqual(readPermissions([...args, "--deny-net=10.0.0.0/8,[::1]", "file:///e.ts", "--allow-run"]), {
    all: false,
    open: [
      { permission: "read", only: ["/a", "/b"], but: [] },
      { permission: "net", only: [], but: ["10.0.0.0/8", "[::1]"] },
    ],
    closed: ["write", "env", "run", "ffi", "sys", "import"],
  });
});

Deno.test("readPermissions() calls everything open for -A and --allow-all, and everything closed for no flag", () => {
  for (const flag of ["-A", "--allow-all"]) {
    const { all, closed } = readPermissions(["run", flag, "file:///e.ts"]);
    assert.deepEqual([all, closed], [true, []], flag);
  }
  assert.deepEqual(readPermissions(["run", "file:///e.ts", "-A"]), { all: false, open: [], closed: [...PERMISSIONS] });
});

Deno.test("readPermissions() knows that --ignore-env opens nothing", () => {
  assert.deepEqual(readPermissions(["run", "--ignore-env", "file:///e.ts"]).closed, [...PERMISSIONS]);
});

Deno.test("readPermissions() never calls closed what it does not understand", () => {
  for (
    const flag of [
      "-R",
      "-W=/a",
      "-P",
      "--permission-set=x",
      "--allow-gpu",
      "--ignore-env=HOME",
      "--ignore-read",
      "--unsafely-ignore-certificate-errors",
    ]
  ) {
    assert.throws(() => readPermissions(["run", flag, "file:///e.ts"]), RangeError, flag);
  }
});

Deno.test("readPermissions() understands every flag of every process of ours", () => {
  const input = { program: thisProgram(), env: {}, folders: makeFolders(), port: 0, hosts: [], tools: NO_TOOLS_PLAN };
  const opened = planAll(input).map(({ name, args }) => {
    const { all, open } = readPermissions(args);
    return [name, all ? "all" : open.map(({ permission }) => permission).join(" ")];
  });
  assert.deepEqual(opened, [
    ["runner", "all"],
    ["client", "net read write"],
    ["tui", "env net read write"],
    ["guest", "read write net"],
    ["tool child", ""],
    ["inspector", ""],
    ["egress public", "net"],
    ["log reader", "read"],
  ]);
});
