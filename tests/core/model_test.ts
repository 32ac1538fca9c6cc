import assert from "node:assert/strict";
import { toModality } from "#/core/model.ts";

Deno.test("toModality() knows what a model may take by a file's MIME type, and calls the rest a document", () => {
  const kinds = ["image/png", "Audio/OGG; codecs=opus", "video/mp4", "application/pdf", "text/csv", "", "imagery/png"];
  assert.deepEqual(kinds.map(toModality), ["image", "audio", "video", "pdf", "document", "document", "document"]);
});
