/** The runner asks a guest for an attachment: an honest guest, one that has none, and guests that answer what they were not asked. */
import assert from "node:assert/strict";
import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { encodeByteFrames, encodeFrame, encodeJsonFrame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import { openBrokerClient } from "#/sandbox/broker_client.ts";
import { type BrokerServer, serveBroker } from "#/sandbox/broker_server.ts";
import { AttachmentReply, AttachmentRequest } from "#/sandbox/call_frames.ts";
import type { FetchAttachment } from "#/sandbox/host_run.ts";
import { openPipes, type Pipes } from "./pipes.ts";

const never = new AbortController().signal;
const PLACE = { session: "s", turn: "t", index: 1 };

function serve(io: Pipes["runner"]): BrokerServer {
  const broker = {
    call: () => Promise.reject(new Error("no call")),
    answer: () => Promise.resolve(),
    derived: () => Promise.resolve(),
    forget: () => Promise.resolve(),
  };
  return serveBroker(io, broker, { schema: z.strictObject({}), onNotice: () => {} });
}

async function withGuest(
  attachment: FetchAttachment | undefined,
  check: (server: BrokerServer) => Promise<void>,
): Promise<void> {
  const { guest, runner } = openPipes();
  const server = serve(runner);
  const client = openBrokerClient(guest, attachment === undefined ? {} : { attachment });
  await check(server);
  await server.close();
  assert.equal(await client.closed, undefined, "the link was whole until the end");
}

/** A guest that answers the first request with these frames; the id of the request goes in. */
async function withHostile(
  answer: (id: number) => readonly Uint8Array[],
  check: (asked: Promise<unknown>, server: BrokerServer) => Promise<void>,
): Promise<void> {
  const { guest, runner } = openPipes(1_000);
  const server = serve(runner);
  const asked = server.attachment(PLACE, never);
  asked.catch(() => {});
  const decoder = new FrameDecoder();
  let id = 0;
  while (id === 0) {
    for (const frame of decoder.push((await guest.input.read())!)) {
      assert.deepEqual(jsonOf(frame), { v: 1, type: "request", body: { attachment: PLACE } });
      id = frame.callId;
    }
  }
  const writer = guest.output.getWriter();
  for (const frame of answer(id)) await writer.write(frame).catch(() => {});
  await check(asked, server);
  await server.close();
}

const response = (id: number, body: unknown, contentBytes: number) =>
  encodeJsonFrame(id, { v: 1, type: "response", body, contentBytes });

Deno.test("BrokerServer.attachment() brings the largest attachment byte for byte, and its type", async () => {
  const content = new Uint8Array(LIMITS.attachmentBytesMax);
  for (let at = 0; at < content.length; at += 4_096) content[at] = at / 4_096 & 255;
  const places: unknown[] = [];
  const attachment: FetchAttachment = (place) => {
    places.push(place);
    return Promise.resolve({ mimeType: "application/pdf", content });
  };
  await withGuest(attachment, async (server) => {
    const got = await server.attachment(PLACE, never);
    assert.equal(got.mimeType, "application/pdf");
    assert.ok(got.content.length === content.length && got.content.every((byte, at) => byte === content[at]));
    assert.deepEqual(places, [PLACE]);
  });
});

Deno.test("BrokerServer.attachment() fails for what is over the limit, with the guest's words, and the link goes on", async () => {
  let bytes = LIMITS.attachmentBytesMax + 1;
  const attachment: FetchAttachment = () => Promise.resolve({ mimeType: "a/b", content: new Uint8Array(bytes) });
  await withGuest(attachment, async (server) => {
    await assert.rejects(server.attachment(PLACE, never), { code: "tool_failed", message: "The answer is too large" });
    bytes = 5;
    assert.equal((await server.attachment(PLACE, never)).content.length, 5);
  });
});

Deno.test("BrokerServer.attachment() passes on that there is none, or nobody who could bring it", async () => {
  const unknown = () => Promise.reject(new AppError("tool_failed", "There is no attachment 1"));
  await withGuest(unknown, async (server) => {
    await assert.rejects(server.attachment(PLACE, never), { code: "tool_failed", message: "There is no attachment 1" });
  });
  await withGuest(undefined, async (server) => {
    await assert.rejects(server.attachment(PLACE, never), {
      code: "tool_failed",
      message: "This turn has no attachments",
    });
  });
  const bug = () => Promise.reject(new TypeError("at /srv/app/x.ts"));
  await withGuest(bug, async (server) => {
    await assert.rejects(server.attachment(PLACE, never), {
      code: "tool_failed",
      message: /^internal error \([0-9a-f-]+\)$/,
    });
  });
});

Deno.test("BrokerServer.attachment() ends with its signal and with its guest", async () => {
  const aborted = Promise.withResolvers<void>();
  const slow: FetchAttachment = (_, signal) => {
    signal.addEventListener("abort", () => aborted.resolve());
    return new Promise(() => {});
  };
  await withGuest(slow, async (server) => {
    const abort = new AbortController();
    const asked = server.attachment(PLACE, abort.signal);
    const other = server.attachment(PLACE, never);
    abort.abort();
    await assert.rejects(asked, { code: "cancelled" });
    await aborted.promise;
    await server.close();
    await assert.rejects(other, { code: "tool_interrupted" });
    await assert.rejects(server.attachment(PLACE, never), { code: "tool_interrupted" });
  });
});

Deno.test("a guest's failure counts as a failed tool, whatever code it claims", async () => {
  for (const code of ["ok", "approval_refused", "internal", "audit_failed", "made_up"]) {
    const failed = (id: number) => [encodeJsonFrame(id, { v: 1, type: "failed", code, message: "said the guest" })];
    await withHostile(failed, async (asked) => {
      await assert.rejects(asked, { code: "tool_failed", message: "said the guest" });
    });
  }
});

Deno.test("an answer whose head is not ours fails the call", async () => {
  const bodies = [
    null,
    {},
    { mimeType: 1 },
    { mimeType: "x".repeat(257) },
    { mimeType: "a/b", path: "/vault/key" },
    { mimeType: "a/b", grant: "all" },
  ];
  for (const body of bodies) {
    await withHostile((id) => [response(id, body, 0)], async (asked) => {
      await assert.rejects(asked, { code: "protocol", message: "The guest's answer is malformed" });
    });
  }
});

Deno.test("an answer of another size than it announced, or than is allowed, ends the link and the call", async () => {
  const body = { mimeType: "a/b" };
  const chunk = (bytes: number) => new Uint8Array(bytes);
  const { chunkBytesMax, attachmentBytesMax } = LIMITS;
  const attacks: Record<string, (id: number) => readonly Uint8Array[]> = {
    "larger than allowed": (id) => [response(id, body, attachmentBytesMax + 1)],
    "a size beyond every number": (id) => [response(id, body, 2 ** 53)],
    "a negative size": (id) => [response(id, body, -1)],
    "more bytes than announced": (id) => [response(id, body, 3), encodeFrame(1, id, chunk(4))],
    "bytes after the end": (id) => [response(id, body, 3), encodeFrame(1, id, chunk(3)), encodeFrame(1, id, chunk(1))],
    "a short chunk in the middle": (id) => [response(id, body, chunkBytesMax + 1), encodeFrame(1, id, chunk(9))],
    "an empty chunk": (id) => [response(id, body, 3), encodeFrame(1, id, chunk(0))],
    "bytes before the head": (id) => [encodeFrame(1, id, chunk(3))],
    "a second answer": (id) => [response(id, body, 3), response(id, body, 3)],
    "an answer to nobody": (id) => [response(id + 1, body, 0)],
    "a notice in the place of an answer": () => [encodeJsonFrame(0, { v: 1, type: "notice", body: { grant: "all" } })],
  };
  for (const [name, answer] of Object.entries(attacks)) {
    await withHostile(answer, async (asked, server) => {
      assert.equal((await server.closed)?.code, "protocol", name);
      if (name !== "bytes after the end") await assert.rejects(asked, { code: "tool_interrupted" }, name);
    });
  }
});

Deno.test("a guest that stops in the middle of an attachment leaves a call that ends with the link", async () => {
  const { guest, runner } = openPipes(1_000);
  const server = serve(runner);
  const asked = server.attachment(PLACE, never);
  asked.catch(() => {});
  await guest.input.read();
  const writer = guest.output.getWriter();
  await writer.write(response(1, { mimeType: "a/b" }, LIMITS.chunkBytesMax * 2));
  const [first] = encodeByteFrames(1, new Uint8Array(LIMITS.chunkBytesMax));
  await writer.write(first!);
  await writer.close();
  assert.equal(await server.closed, undefined);
  await assert.rejects(asked, { code: "tool_interrupted" });
});

Deno.test("AttachmentRequest and AttachmentReply are strict and bounded", () => {
  const isRequest = (attachment: unknown) => AttachmentRequest.safeParse({ attachment }).success;
  assert.ok(isRequest(PLACE) && AttachmentReply.safeParse({ mimeType: "x".repeat(256) }).success);
  for (
    const wrong of [
      { ...PLACE, index: -1 },
      { ...PLACE, index: 0.5 },
      { ...PLACE, path: "/vault" },
      { ...PLACE, session: "x".repeat(LIMITS.idCharsMax + 1) },
      { session: "s", turn: "t" },
    ]
  ) assert.ok(!isRequest(wrong), JSON.stringify(wrong).slice(0, 80));
});
