import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { EgressCall, EgressHead, EgressHeader, EgressRequest, EgressRoute } from "#/sandbox/egress_frames.ts";
import { toRequest } from "./egress_kit.ts";

const CALL = { ...toRequest("http://example.com/"), route: { kind: "public" } };

Deno.test("EgressCall takes a request at its limits and none beyond", () => {
  const header = (chars: number) => ["a", "x".repeat(chars)];
  const body = (bytes: number) => "A".repeat(Math.ceil(bytes / 3) * 4);
  const table: [Record<string, unknown>, Record<string, unknown>][] = [
    [{ url: "x".repeat(LIMITS.egressUrlCharsMax) }, { url: "x".repeat(LIMITS.egressUrlCharsMax + 1) }],
    [
      { headers: Array(LIMITS.egressHeadersMax).fill(header(1)) },
      { headers: Array(LIMITS.egressHeadersMax + 1).fill(header(1)) },
    ],
    [{ headers: [header(LIMITS.egressHeaderCharsMax)] }, { headers: [header(LIMITS.egressHeaderCharsMax + 1)] }],
    [{ body: body(LIMITS.egressUpBytesMax) }, { body: `${body(LIMITS.egressUpBytesMax)}AAAA` }],
    [{ downBytesMax: LIMITS.egressDownBytesMax }, { downBytesMax: LIMITS.egressDownBytesMax + 1 }],
    [{ timeoutMs: LIMITS.egressTimeoutMsMax }, { timeoutMs: LIMITS.egressTimeoutMsMax + 1 }],
    [{ method: "OPTIONS" }, { method: "TRACE" }],
    [{ method: "HEAD" }, { method: "CONNECT" }],
    [{ method: "GET" }, { method: "get" }],
    [{ body: "" }, { body: "no base64!" }],
    [{ route: { kind: "listed" } }, { route: { kind: "open" } }],
    [{ route: { kind: "proxy", url: "http://p" } }, { route: { kind: "public", url: "http://p" } }],
    [{}, { redirect: true }],
  ];
  for (const [good, bad] of table) {
    assert.ok(EgressCall.safeParse({ ...CALL, ...good }).success, JSON.stringify(good).slice(0, 80));
    assert.ok(!EgressCall.safeParse({ ...CALL, ...bad }).success, JSON.stringify(bad).slice(0, 80));
  }
});

Deno.test("EgressRequest has no route, EgressRoute and EgressHeader are strict", () => {
  assert.ok(!EgressRequest.safeParse(CALL).success);
  assert.ok(!EgressRoute.safeParse({ kind: "proxy" }).success);
  assert.ok(!EgressHeader.safeParse(["a", "b", "c"]).success);
});

Deno.test("EgressHead is a final status and counts", () => {
  const head = { status: 200, headers: [["a", "b"]], address: "::1", wireBytes: 1, bodyBytes: 0, truncated: false };
  assert.ok(EgressHead.safeParse(head).success);
  for (const bad of [{ status: 101 }, { status: 1_000 }, { wireBytes: -1 }, { bodyBytes: 0.5 }, { more: 1 }]) {
    assert.ok(!EgressHead.safeParse({ ...head, ...bad }).success, JSON.stringify(bad));
  }
});
