import assert from "node:assert/strict";
import { FromChildFrame, toErrorCode } from "#/sandbox/child_frames.ts";
import { LIMITS } from "#/core/limits.ts";

const RESULT = { v: 1, type: "result", ok: true, code: "ok", outputBytes: 0, contentBytes: 0 };

Deno.test("FromChildFrame takes what a child of ours sends", () => {
  for (
    const frame of [
      { v: 1, type: "loaded" },
      { v: 1, type: "loaded", describe: "x".repeat(LIMITS.describeCharsMax) },
      { v: 1, type: "load_failed", message: "no" },
      { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } },
      { v: 1, type: "host", call: { fn: "fs-read.list", path: "/shared", recursive: true } },
      { v: 1, type: "host", call: { fn: "fs-read.scan", path: "/shared", glob: "", cursor: "" } },
      { v: 1, type: "host", call: { fn: "fs-write.write-text", path: "/shared/a", text: "" } },
      { v: 1, type: "host", call: { fn: "fs-write.write-text", path: "/shared/a", text: "", expectSha256: "absent" } },
      { v: 1, type: "host", call: { fn: "fs-write.remove", path: "/shared/a" } },
      { ...RESULT, contentBytes: LIMITS.toolOutputBytesMax },
    ]
  ) assert.deepEqual(FromChildFrame.parse(frame), frame);
});

Deno.test("FromChildFrame refuses every other shape", () => {
  for (
    const frame of [
      null,
      [],
      "loaded",
      { type: "loaded" },
      { v: 2, type: "loaded" },
      { v: 1, type: "loaded", grant: [] },
      { v: 1, type: "loaded", describe: "x".repeat(LIMITS.describeCharsMax + 1) },
      { v: 1, type: "call" },
      { v: 1, type: "host", call: { fn: "fs-write.chmod", path: "/shared/a" } },
      { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a", grant: "all" } },
      { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "x".repeat(LIMITS.pathBytesMax * 2 + 1) } },
      { v: 1, type: "host", call: { fn: "fs-write.write-text", path: "/shared/a", text: 1 } },
      { v: 1, type: "host", call: { fn: "fs-write.write-text", path: "/shared/a", text: "", expectSha256: null } },
      { ...RESULT, contentBytes: -1 },
      { ...RESULT, contentBytes: 0.5 },
      { ...RESULT, contentBytes: LIMITS.toolOutputBytesMax + 1 },
      { ...RESULT, ok: "yes" },
    ]
  ) assert.ok(!FromChildFrame.safeParse(frame).success, JSON.stringify(frame)?.slice(0, 200));
});

Deno.test("toErrorCode() gives a component no say over codes that are not a tool's", () => {
  for (const code of ["file_changed", "egress_denied", "egress_failed", "egress_timeout", "secret_denied"]) {
    assert.equal(toErrorCode(code), code);
  }
  for (const code of ["cancelled", "internal", "ok", "store_corrupt", "made_up", ""]) {
    assert.equal(toErrorCode(code), "tool_failed");
  }
});
