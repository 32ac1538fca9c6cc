import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { fromMediaUrl, toMedia } from "#/provider/media.ts";

Deno.test("toMedia() takes base64 and nothing else: what it gives is decoded without a look", () => {
  assert.deepEqual(toMedia("acme", "image/png", "iVBORw=="), {
    type: "media",
    media: { mimeType: "image/png", data: "iVBORw==" },
  });
  for (const data of ["not base64!", "a", "====", "ü"]) {
    assert.throws(
      () => toMedia("acme", "image/png", data),
      (error) => error instanceof AppError && error.code === "provider_protocol" && /acme/.test(error.message),
    );
  }
});

Deno.test("fromMediaUrl() reads a data URL and shows any other address", () => {
  const png = { type: "media", media: { mimeType: "image/png", data: "AAAA" } };
  assert.deepEqual(fromMediaUrl("acme", "data:image/png;base64,AAAA"), png);
  assert.deepEqual(fromMediaUrl("acme", "data:Image/PNG;name=a.png;base64,AAAA"), png);
  const elsewhere = "https://cdn.acme.test/a.png";
  assert.deepEqual(fromMediaUrl("acme", elsewhere), { type: "text", text: elsewhere });
  assert.throws(() => fromMediaUrl("acme", "data:image/png;base64,<html>"), AppError);
});
