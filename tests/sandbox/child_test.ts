import assert from "node:assert/strict";
import { encodeByteFrames, encodeJsonFrame, type Frame, FrameDecoder, jsonOf } from "#/lib/framing.ts";
import { runChild } from "#/sandbox/child.ts";
import type { ToChild } from "#/sandbox/host_call.ts";
import { openFilesComponent } from "./child_kit.ts";

/** Runs a child in this process over a script of frames; returns its exit code and what it sent. */
async function play(script: readonly Uint8Array<ArrayBuffer>[]): Promise<{ code: number; sent: Frame[] }> {
  const input = new Uint8Array(await new Blob([...script]).arrayBuffer());
  const sent: Frame[] = [];
  const decoder = new FrameDecoder();
  let at = 0;
  const code = await runChild({
    read(into) {
      const part = input.subarray(at, at + into.length);
      into.set(part);
      at += part.length;
      return part.length === 0 ? null : part.length;
    },
    write(bytes) {
      sent.push(...decoder.push(bytes.slice()));
      return bytes.length;
    },
  });
  return { code, sent };
}

async function loadFrames(): Promise<Uint8Array<ArrayBuffer>[]> {
  const { package: name, files } = await openFilesComponent();
  const head: ToChild = {
    v: 1,
    type: "load",
    package: name,
    files: files.map((file) => ({ name: file.name, bytes: file.bytes.length })),
  };
  return [encodeJsonFrame(0, head), ...files.flatMap((file) => [...encodeByteFrames(0, file.bytes)])];
}

function callFrame(id: number, fields: Partial<Extract<ToChild, { type: "call" }>> = {}): Uint8Array<ArrayBuffer> {
  const head: ToChild = {
    v: 1,
    type: "call",
    tool: "file_read",
    args: { path: "/shared/a" },
    timeoutMs: 5_000,
    interfaces: ["fs-read"],
    ...fields,
  };
  return encodeJsonFrame(id, head);
}

function answerFrames(id: number, text: string): Uint8Array<ArrayBuffer>[] {
  const content = new TextEncoder().encode(text);
  const head: ToChild = {
    v: 1,
    type: "answer",
    ok: true,
    value: { bytes: content.length, sha256: "" },
    contentBytes: content.length,
  };
  return [encodeJsonFrame(id, head), ...encodeByteFrames(id, content)];
}

function textOf(sent: readonly Frame[], callId: number): string {
  return sent.filter((frame) => frame.kind === 1 && frame.callId === callId).map((frame) =>
    new TextDecoder().decode(frame.body)
  ).join("");
}

const DESCRIBED = JSON.stringify({
  name: "files",
  version: "0.1.0",
  tools: ["file_read", "file_list", "file_search", "file_write", "file_edit", "file_delete"],
});

Deno.test("runChild() loads, serves calls one after another, and ends when its input ends", async () => {
  const { code, sent } = await play([
    ...await loadFrames(),
    callFrame(1),
    ...answerFrames(1, "first"),
    callFrame(2, { interfaces: [] }),
    callFrame(3),
    encodeJsonFrame(3, { v: 1, type: "answer", ok: false, code: "file_not_found", message: "not there" }),
  ]);
  assert.equal(code, 0);
  assert.deepEqual(sent.filter((frame) => frame.kind === 0).map((frame) => [frame.callId, jsonOf(frame)]), [
    [0, { v: 1, type: "loaded", describe: DESCRIBED }],
    [1, { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } }],
    [1, { v: 1, type: "result", ok: true, code: "ok", outputBytes: 5, contentBytes: 5 }],
    [2, { v: 1, type: "result", ok: false, code: "tool_denied", outputBytes: 35, contentBytes: 35 }],
    [3, { v: 1, type: "host", call: { fn: "fs-read.read-text", path: "/shared/a" } }],
    [3, { v: 1, type: "result", ok: false, code: "file_not_found", outputBytes: 9, contentBytes: 9 }],
  ]);
  assert.equal(textOf(sent, 1), "first");
  assert.equal(textOf(sent, 3), "not there");
});

Deno.test("runChild() reports a package that does not load and ends", async () => {
  const bytes = new TextEncoder().encode("not javascript(");
  const head: ToChild = { v: 1, type: "load", package: "p", files: [{ name: "tool.js", bytes: bytes.length }] };
  const { code, sent } = await play([encodeJsonFrame(0, head), ...encodeByteFrames(0, bytes)]);
  assert.equal(code, 1);
  assert.equal((jsonOf(sent[0]!) as { type: string }).type, "load_failed");
});

Deno.test("runChild() ends without a word when nothing is loaded, and refuses frames out of turn", async () => {
  assert.deepEqual(await play([]), { code: 1, sent: [] });
  await assert.rejects(play([callFrame(1)]), { code: "protocol" });
  await assert.rejects(
    play([...await loadFrames(), encodeJsonFrame(1, { v: 1, type: "load", package: "p", files: [] })]),
    {
      code: "protocol",
    },
  );
});

Deno.test("runChild() reports a timeout and then serves nobody", async () => {
  const text = "x " + "a b ".repeat(20);
  const page = {
    v: 1,
    type: "answer",
    ok: true,
    value: { files: [{ path: "/shared/a", bytes: text.length }], next: "", skipped: 0 },
    contentBytes: text.length,
  };
  const { code, sent } = await play([
    ...await loadFrames(),
    callFrame(1, { tool: "file_search", args: { pattern: "(a|a|b|[a-z ])*$x", regex: true }, timeoutMs: 60 }),
    encodeJsonFrame(1, page),
    ...encodeByteFrames(1, new TextEncoder().encode(text)),
    callFrame(2),
    ...answerFrames(2, "never read"),
  ]);
  assert.equal(code, 0);
  const last = sent.filter((frame) => frame.kind === 0).at(-1)!;
  assert.equal(last.callId, 1);
  assert.equal((jsonOf(last) as { code: string }).code, "tool_timeout");
});
