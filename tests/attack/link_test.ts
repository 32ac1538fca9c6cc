import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { encodeFrame, encodeJsonFrame } from "#/lib/framing.ts";
import { openLink } from "#/lib/link.ts";
import { openPipes } from "../sandbox/pipes.ts";

const bytes = (...values: number[]) => new Uint8Array(values);
const head = (length: number, kind: number, id: number) => {
  const out = new Uint8Array(9);
  const view = new DataView(out.buffer);
  view.setUint32(0, length);
  view.setUint8(4, kind);
  view.setUint32(5, id);
  return out;
};

/** What a runner's link says after a guest wrote these bytes and stayed. */
async function afterBytes(...parts: Uint8Array[]): Promise<string | undefined> {
  const { guest, runner } = openPipes(1_000);
  const link = openLink(runner, {
    onRequest: () => new Promise(() => {}),
    onNotice: () => {},
  });
  const writer = guest.output.getWriter();
  for (const part of parts) writer.write(part).catch(() => {});
  return (await link.closed)?.code;
}

Deno.test("a hostile peer ends its link by the first frame that is not ours", async () => {
  const request = encodeJsonFrame(1, { v: 1, type: "request", body: 1 });
  const table: [string, Uint8Array[], string][] = [
    ["a frame over the bound", [head(LIMITS.frameBytesMax + 6, 0, 1)], "frame_too_large"],
    ["a frame of 4 GiB", [head(0xffff_ffff, 0, 1)], "frame_too_large"],
    ["a frame shorter than its head", [head(4, 0, 1)], "protocol"],
    ["an unknown kind", [head(5, 2, 1)], "protocol"],
    ["broken JSON", [encodeFrame(0, 1, bytes(123))], "protocol"],
    ["broken UTF-8", [encodeFrame(0, 1, bytes(34, 255, 34))], "protocol"],
    ["JSON of no shape", [encodeJsonFrame(1, [1])], "protocol"],
    ["another version", [encodeJsonFrame(1, { v: 2, type: "request", body: 1 })], "protocol"],
    ["an unknown type", [encodeJsonFrame(1, { v: 1, type: "grant", body: 1 })], "protocol"],
    ["a field too many", [encodeJsonFrame(1, { v: 1, type: "request", body: 1, grant: {} })], "protocol"],
    ["a request with id 0", [encodeJsonFrame(0, { v: 1, type: "request", body: 1 })], "protocol"],
    ["a notice with an id", [encodeJsonFrame(1, { v: 1, type: "notice", body: 1 })], "protocol"],
    ["the same id twice", [request, request], "protocol"],
    [
      "an answer nobody waits for",
      [encodeJsonFrame(1, { v: 1, type: "response", body: 1, contentBytes: 0 })],
      "protocol",
    ],
    ["a failure nobody waits for", [encodeJsonFrame(1, { v: 1, type: "failed", code: "x", message: "" })], "protocol"],
    ["bytes nobody waits for", [encodeFrame(1, 1, bytes(1))], "protocol"],
    ["bytes for a request", [request, encodeFrame(1, 1, bytes(1))], "protocol"],
    ["an ack for nothing", [request, encodeJsonFrame(1, { v: 1, type: "ack" })], "protocol"],
    [
      "a large notice",
      [encodeJsonFrame(0, { v: 1, type: "notice", body: "x".repeat(LIMITS.noticeBytesMax) })],
      "frame_too_large",
    ],
    [
      "one request too many",
      Array.from(
        { length: LIMITS.linkRequestsMax + 1 },
        (_, i) => encodeJsonFrame(i + 1, { v: 1, type: "request", body: 1 }),
      ),
      "protocol",
    ],
  ];
  for (const [what, parts, code] of table) assert.equal(await afterBytes(...parts), code, what);
});

Deno.test("a stream that ends inside a frame is an error, one that ends between frames is not", async () => {
  for (const [cut, code] of [[0, undefined], [3, "protocol"], [12, "protocol"]] as const) {
    const { guest, runner } = openPipes(10);
    const link = openLink(runner);
    const writer = guest.output.getWriter();
    if (cut > 0) await writer.write(encodeJsonFrame(0, { v: 1 }).subarray(0, cut));
    await writer.close();
    assert.equal((await link.closed)?.code, code);
  }
});

Deno.test("an answer with more, fewer or oddly cut bytes than announced ends the asker's link", async () => {
  const chunk = LIMITS.chunkBytesMax;
  const responses: [number, Uint8Array[]][] = [
    [LIMITS.toolOutputBytesMax + 1, []],
    [-1, []],
    [3, [new Uint8Array(4)]],
    [3, [new Uint8Array(2)]],
    [3, [new Uint8Array(0)]],
    [chunk + 1, [new Uint8Array(chunk + 1)]],
    [chunk + 1, [new Uint8Array(1)]],
    [0, [new Uint8Array(1)]],
  ];
  for (const [contentBytes, parts] of responses) {
    const { guest, runner } = openPipes(100);
    const link = openLink(guest);
    const asked = link.request(1, new AbortController().signal).catch((error) => error.code);
    const writer = runner.output.getWriter();
    writer.write(encodeJsonFrame(1, { v: 1, type: "response", body: 1, contentBytes })).catch(() => {});
    for (const part of parts) writer.write(encodeFrame(1, 1, part)).catch(() => {});
    assert.equal((await link.closed)?.code, "protocol", `${contentBytes}`);
    if (contentBytes > 0) assert.equal(await asked, "tool_interrupted");
  }
});

Deno.test("a guest that asks without reading cannot make the runner queue without end", async () => {
  const { guest, runner } = openPipes(1);
  let served = 0;
  const link = openLink(runner, {
    onRequest: () => {
      served++;
      return Promise.resolve({ body: null, content: new Uint8Array() });
    },
  });
  const writer = guest.output.getWriter();
  for (let i = 1; i <= 10_000; i++) {
    writer.write(encodeJsonFrame(i, { v: 1, type: "request", body: 1 })).catch(() => {});
  }
  assert.equal((await link.closed)?.code, "protocol");
  assert.ok(served <= LIMITS.linkRequestsMax + 10, `${served} requests were served`);
});
