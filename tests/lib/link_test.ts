import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { encodeJsonFrame, FrameDecoder } from "#/lib/framing.ts";
import { openLink } from "#/lib/link.ts";
import { openPipes } from "../sandbox/pipes.ts";

const never = new AbortController().signal;
const empty = new Uint8Array();

Deno.test("openLink() answers many requests at once, in any order, with bytes of any size", async () => {
  const { guest, runner } = openPipes();
  const sizes = [0, 1, LIMITS.chunkBytesMax, LIMITS.chunkBytesMax + 1, LIMITS.toolOutputBytesMax];
  const server = openLink(runner, {
    onRequest: (body) => {
      const { size, tag } = body as { size: number; tag: number };
      return Promise.resolve({ body: { tag }, content: new Uint8Array(size).fill(tag) });
    },
  });
  const client = openLink(guest);
  await Promise.all(Array.from({ length: 40 }, async (_, tag) => {
    const size = sizes[tag % sizes.length]!;
    const { body, content } = await client.request({ size, tag }, never);
    assert.deepEqual([body, content.length], [{ tag }, size]);
    assert.ok(content.every((byte) => byte === tag));
  }));
  await client.close();
  assert.equal(await server.closed, undefined);
  assert.equal(await client.closed, undefined);
});

Deno.test("openLink() carries requests and notices both ways at the same time", async () => {
  const { guest, runner } = openPipes();
  const notices: unknown[] = [];
  const echo = (body: unknown) => Promise.resolve({ body, content: empty });
  const a = openLink(runner, { onRequest: echo, onNotice: (body) => void notices.push(body) });
  const b = openLink(guest, { onRequest: echo, onNotice: (body) => void notices.push(body) });
  const answers = await Promise.all([a.request("from a", never), b.request("from b", never)]);
  assert.deepEqual(answers.map((answer) => answer.body), ["from a", "from b"]);
  await a.notify({ hello: 1 });
  await b.notify({ hello: 2 });
  await a.request(0, never);
  await b.request(0, never);
  assert.deepEqual(notices, [{ hello: 1 }, { hello: 2 }]);
  await a.close();
});

Deno.test("openLink() hands a failure back with its code, and hides what is not ours", async () => {
  const { guest, runner } = openPipes();
  openLink(runner, {
    onRequest: (body) =>
      Promise.reject(body === "app" ? new AppError("file_not_found", "gone") : new Error("/srv/secret")),
  });
  const client = openLink(guest);
  await assert.rejects(client.request("app", never), { code: "file_not_found", message: "gone" });
  await assert.rejects(client.request("bug", never), { code: "internal", message: /^internal error/ });
  await client.close();
});

Deno.test("openLink() cancels: the asker at once, the server by its signal, and a late answer finds its place", async () => {
  const { guest, runner } = openPipes();
  const release = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  openLink(runner, {
    async onRequest(body, signal) {
      if (body === "slow") {
        signal.addEventListener("abort", () => aborted.resolve());
        await release.promise;
      }
      return { body, content: new Uint8Array(LIMITS.toolOutputBytesMax) };
    },
  });
  const client = openLink(guest);
  const abort = new AbortController();
  const asked = client.request("slow", abort.signal);
  await client.request("quick", never);
  abort.abort();
  await assert.rejects(asked, { code: "cancelled" });
  await aborted.promise;
  release.resolve();
  assert.equal((await client.request("quick", never)).body, "quick");
  await assert.rejects(client.request("x", AbortSignal.abort()), { code: "cancelled" });
  await client.close();
});

Deno.test("openLink() sends no chunk without credit", async () => {
  const { guest, runner } = openPipes(100);
  const content = new Uint8Array(LIMITS.chunkBytesMax * (LIMITS.chunkCredit + 2));
  const onRequest = () => Promise.resolve({ body: null, content });
  const link = openLink(runner, { onRequest }, { contentBytesMax: content.length });
  const writer = guest.output.getWriter();
  const decoder = new FrameDecoder();
  const frames: number[] = [];
  await writer.write(encodeJsonFrame(7, { v: 1, type: "request", body: 1 }));
  const readUntil = async (count: number) => {
    while (frames.length < count) {
      for (const frame of decoder.push((await guest.input.read())!)) frames.push(frame.kind);
    }
  };
  await readUntil(1 + LIMITS.chunkCredit);
  // A notice behind the chunks: were there one more chunk without credit, it would come before this.
  await link.notify("mark");
  await readUntil(2 + LIMITS.chunkCredit);
  assert.deepEqual(frames, [0, 1, 1, 1, 1, 0]);
  await writer.write(encodeJsonFrame(7, { v: 1, type: "ack" }));
  await readUntil(3 + LIMITS.chunkCredit);
  assert.equal(frames.at(-1), 1);
  await link.close();
});

Deno.test("openLink() rejects what is open when the stream ends, and everything after it", async () => {
  const { guest, runner } = openPipes();
  const signals: AbortSignal[] = [];
  const server = openLink(runner, {
    onRequest: (_, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    },
    onNotice: () => {},
  });
  const client = openLink(guest, { onNotice: () => {} });
  const asked = client.request(1, never);
  const noticed = client.notify(1);
  await noticed;
  const open = assert.rejects(asked, { code: "tool_interrupted" });
  await server.close();
  await open;
  assert.ok(signals.every((signal) => signal.aborted));
  await assert.rejects(client.request(1, never), { code: "tool_interrupted" });
  await assert.rejects(client.notify(1), { code: "tool_interrupted" });
  await client.close();
  await client.close();
});

Deno.test("openLink() bounds open requests, frames and notices on the sending side", async () => {
  const { guest } = openPipes(1_000);
  const client = openLink(guest);
  const opened = Array.from({ length: LIMITS.linkRequestsMax }, (_, i) => client.request(i, never));
  await assert.rejects(client.request("one more", never), { code: "queue_full" });
  await assert.rejects(client.notify("x".repeat(LIMITS.noticeBytesMax)), { code: "frame_too_large" });
  const all = Promise.allSettled(opened);
  await client.close();
  assert.ok((await all).every((one) => one.status === "rejected"));
  const { guest: other } = openPipes();
  const second = openLink(other);
  await assert.rejects(second.request("x".repeat(LIMITS.frameBytesMax), never), { code: "frame_too_large" });
  await second.close();
});

Deno.test("openLink() takes and gives answers up to contentBytesMax, toolOutputBytesMax without it", async () => {
  const contentBytesMax = 5 * LIMITS.toolOutputBytesMax;
  const answer = (body: unknown) => Promise.resolve({ body, content: new Uint8Array(body as number).fill(7) });
  const { guest, runner } = openPipes();
  const server = openLink(runner, { onRequest: answer }, { contentBytesMax });
  const client = openLink(guest, {}, { contentBytesMax });
  const { content } = await client.request(contentBytesMax, never);
  assert.ok(content.length === contentBytesMax && content.every((byte) => byte === 7));
  await assert.rejects(client.request(contentBytesMax + 1, never), { code: "frame_too_large" });
  assert.equal((await client.request(1, never)).content.length, 1);
  await client.close();
  assert.equal(await server.closed, undefined);
  const { guest: narrow, runner: wide } = openPipes(100);
  openLink(wide, { onRequest: answer }, { contentBytesMax });
  const small = openLink(narrow);
  assert.equal((await small.request(LIMITS.toolOutputBytesMax, never)).content.length, LIMITS.toolOutputBytesMax);
  await assert.rejects(small.request(LIMITS.toolOutputBytesMax + 1, never), { code: "tool_interrupted" });
  assert.equal((await small.closed)?.code, "protocol");
});
