import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { InlineMedia, Message } from "#/core/message.ts";
import type { Modality, ModelDescriptor } from "#/core/model.ts";
import type { ModelRequest } from "#/core/provider.ts";
import { fitAttachments, isTextFile, toFormat } from "#/provider/attachments.ts";
import type { Protocol } from "#/provider/base_url.ts";

const SAVE = { name: "attachment_save", description: "D", parameters: {} };

function descriptor(input: readonly Modality[], more: Partial<ModelDescriptor> = {}): ModelDescriptor {
  return {
    id: "m",
    name: "M",
    contextTokens: 9,
    outputTokens: 9,
    input,
    output: ["text"],
    toolCall: true,
    reasoning: false,
    structuredOutput: false,
    source: "test",
    ...more,
  };
}

function request(attachments: readonly InlineMedia[], more: Partial<ModelRequest> = {}): ModelRequest {
  const messages: Message[] = [{ role: "user", content: "See.", attachments }];
  return { model: "m", messages, tools: [SAVE], timeoutMs: 1_000, ...more };
}

const file = (mimeType: string, data = "AAAA") => ({ mimeType, data });

Deno.test("fitAttachments() lets through what wire format and model take, case and parameters aside", () => {
  const table: readonly (readonly [Protocol, mimeType: string, takes: boolean])[] = [
    ["openai", "image/png", true],
    ["openai", "IMAGE/JPG; q=1", true],
    ["openai", "image/heic", false],
    ["openai", "image/svg+xml", false],
    ["openai", "audio/mpeg", true],
    ["openai", "audio/x-wav", true],
    ["openai", "audio/ogg", false],
    ["openai", "video/mp4", false],
    ["openai", "application/pdf", true],
    ["openai", "application/zip", false],
    ["openai_responses", "image/webp", true],
    ["openai_responses", "application/pdf", true],
    ["openai_responses", "audio/wav", false],
    ["anthropic", "application/pdf", true],
    ["anthropic", "audio/wav", false],
    ["anthropic", "image/svg+xml", true],
    ["anthropic", "image/tiff", false],
    ["anthropic", "application/json", true],
    ["gemini", "image/heic", true],
    ["gemini", "audio/ogg", true],
    ["gemini", "video/mp4", true],
    ["gemini", "text/csv", true],
    ["gemini", "application/msword", false],
  ];
  for (const [protocol, mimeType, takes] of table) {
    const asked = request([file(mimeType)]);
    const { messages, notice } = fitAttachments(asked, protocol);
    assert.equal(messages === asked.messages, takes, `${protocol} ${mimeType}`);
    assert.equal(notice === undefined, takes);
  }
});

Deno.test("fitAttachments() tells of what the model cannot read, numbered as the tool counts, and keeps the rest", () => {
  const files = [file("application/pdf", "A".repeat(4_000)), file("image/png"), file("text/csv")];
  const { messages, notice } = fitAttachments(
    request(files, { descriptor: descriptor(["text", "image"]) }),
    "openai",
  );
  assert.deepEqual(messages, [{
    role: "user",
    content: "See.\n" +
      "[attachment 0: application/pdf, 3 KB: this model cannot read it; attachment_save can store it]\n" +
      "[attachment 2: text/csv, 1 KB: this model cannot read it; attachment_save can store it]",
    attachments: [file("image/png")],
  }]);
  assert.equal(
    notice,
    'The model "m" cannot read application/pdf, text/csv; it takes image (png, jpeg, webp, gif). ' +
      "It is told of the file and can only save it.",
  );
});

Deno.test("fitAttachments() says so once: not again when the model comes back from a tool", () => {
  const first = request([file("application/zip")]);
  const call = { id: "c", name: "attachment_save", arguments: "{}" };
  const later = {
    ...first,
    messages: [
      ...first.messages,
      { role: "assistant", content: "", toolCalls: [call] },
      { role: "tool", toolCallId: "c", name: "attachment_save", content: "saved", ok: true },
    ] as const,
  };
  const { messages, notice } = fitAttachments(later, "openai");
  assert.equal(notice, undefined);
  assert.deepEqual(messages.slice(0, 1), fitAttachments(first, "openai").messages);
  assert.equal("attachments" in messages[0]!, false);
});

Deno.test("fitAttachments() refuses what nobody could do anything with, and says what the model takes", () => {
  const none = [{ tools: [] }, { descriptor: descriptor(["text"], { toolCall: false }) }];
  for (const more of none) {
    assert.throws(
      () => fitAttachments(request([file("audio/ogg\n\x1b[2J")], more), "openai_responses"),
      (error) =>
        error instanceof AppError && error.code === "provider_rejected" &&
        /"m" cannot read audio\/ogg.*it takes (image.*pdf|no files).*another model/.test(error.message) &&
        !error.message.includes("\x1b"),
    );
  }
});

Deno.test("toFormat() has one word for each format", () => {
  const table = { "image/jpg": "jpeg", "audio/mpeg": "mp3", "Audio/X-WAV": "wav", "application/pdf;x=y": "pdf" };
  for (const [mimeType, format] of Object.entries(table)) assert.equal(toFormat(mimeType), format);
});

Deno.test("isTextFile() knows text by any of its names", () => {
  for (const type of ["text/csv; charset=utf-8", "Application/JSON", "image/svg+xml", "application/x-yaml"]) {
    assert.ok(isTextFile(type), type);
  }
  for (const type of ["application/pdf", "image/png", "application/octet-stream"]) assert.ok(!isTextFile(type), type);
});
