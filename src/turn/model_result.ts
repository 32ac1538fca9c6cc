import type { PaidCost } from "#/core/cost.ts";
import type { BlobRef, NewBlob, NewEvent } from "#/core/event.ts";
import type { InlineMedia } from "#/core/message.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import type { Reply } from "#/turn/model_call.ts";

/** The event that records one model call; the bytes of what the model made go with it as blobs. */
export async function toModelResult(step: number, reply: Reply, paid: PaidCost | undefined): Promise<NewEvent> {
  const { text, reasoning, toolCalls, usage, retries, end, answeredBy, replay } = reply;
  const finishReason = end.kind === "done" ? end.finishReason : end.kind === "failed" ? "failed" : "cancelled";
  const blobs = await Promise.all(reply.media.map(toBlob));
  const media = blobs.map(({ sha256, bytes, mimeType }): BlobRef => ({ sha256, bytes, mimeType }));
  return {
    type: "model_result",
    v: 1,
    payload: {
      step,
      text,
      ...(reasoning === "" ? {} : { reasoning }),
      toolCalls,
      finishReason,
      usage,
      ...(paid === undefined ? {} : { cost: paid.cost }),
      ...(paid?.isEstimate ? { costIsEstimate: true } : {}),
      ...(answeredBy === undefined ? {} : { answeredBy }),
      ...(replay === undefined ? {} : { replay }),
      ...(media.length === 0 ? {} : { media }),
      ...(end.kind === "failed" ? { failure: { code: end.code, message: end.message } } : {}),
      ...(retries.length === 0 ? {} : { retries }),
    },
    ...(blobs.length === 0 ? {} : { blobs }),
  };
}

async function toBlob({ mimeType, data }: InlineMedia): Promise<NewBlob> {
  const content = Uint8Array.fromBase64(data);
  return { sha256: await sha256Hex(content), bytes: content.length, mimeType, content };
}
