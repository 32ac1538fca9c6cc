import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toInlineMedia } from "#/gateway/attachments.ts";

function refusal(attachments: { mime_type: string; data: string }[]): string {
  try {
    toInlineMedia(attachments);
  } catch (error) {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "usage");
    return error.message;
  }
  assert.fail("it was taken");
}

Deno.test("toInlineMedia() keeps type and data", () => {
  assert.deepEqual(toInlineMedia([]), []);
  assert.deepEqual(toInlineMedia([{ mime_type: "image/png", data: "QUI=" }, { mime_type: "a/b.c+d-e_f", data: "" }]), [
    { mimeType: "image/png", data: "QUI=" },
    { mimeType: "a/b.c+d-e_f", data: "" },
  ]);
});

Deno.test("toInlineMedia() refuses what is not base64", () => {
  for (const data of ["QUI", "QU I", "Q===", "QR==", "QUI=\n", "QUI\n", "\n\n\n\n", "Q-I=", "ÄÄÄÄ", "QUI=QUI="]) {
    assert.match(refusal([{ mime_type: "image/png", data }]), /attachment 0: data is not base64/, JSON.stringify(data));
  }
});

Deno.test("toInlineMedia() refuses what is not a type/subtype", () => {
  for (
    const mime_type of [
      "",
      "image",
      "/png",
      "image/",
      "image/png\n",
      "a b/c",
      "text/html;charset=x",
      `a/${"b".repeat(255)}`,
    ]
  ) {
    assert.match(refusal([{ mime_type, data: "" }]), /mime_type/, JSON.stringify(mime_type));
  }
});

Deno.test("toInlineMedia() takes four of exactly 10 MiB and no fifth, no byte more", () => {
  const full = { mime_type: "a/b", data: new Uint8Array(LIMITS.attachmentBytesMax).toBase64() };
  const over = { mime_type: "a/b", data: new Uint8Array(LIMITS.attachmentBytesMax + 1).toBase64() };
  assert.equal(toInlineMedia([full, full, full, full]).length, LIMITS.attachmentsPerTurnMax);
  assert.match(refusal([full, over]), /attachment 1 has 10485761 bytes; at most 10485760/);
  const small = { mime_type: "a/b", data: "" };
  assert.match(refusal([small, small, small, small, small]), /5 attachments in one turn; at most 4/);
});
