/**
 * Tries a model for `oxydra setup`: lists what an endpoint serves, or has a model say a word. A question on stdin, an answer on stdout, one
 * JSON document each. Its flags: src/runner/plan_model_probe.ts.
 */
import "#/lib/stderr_console.ts";
import { toProviderOptions } from "#/app/bootstrap.ts";
import { type ProbeAnswer, ProbeQuestion } from "#/app/model_probe_frames.ts";
import { AppError, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { isProtocol } from "#/provider/base_url.ts";
import { listModels } from "#/provider/list_models.ts";
import { openProvider } from "#/provider/registry.ts";
import type { ProviderOptions } from "#/provider/warm_provider.ts";

const PROMPT = "Answer with one word: OK";

async function answer(): Promise<ProbeAnswer> {
  try {
    const { ask, model } = ProbeQuestion.parse(
      JSON.parse(await readBounded(Deno.stdin.readable, LIMITS.bootstrapBytesMax)),
    );
    const { type } = model;
    const options = toProviderOptions(model, fetch);
    if (!isProtocol(type)) throw new AppError("usage", `${type} cannot be tried`);
    if (ask === "reply") return await reply(type, model.model, options);
    const models = await listModels(type, options, AbortSignal.timeout(LIMITS.modelProbeMs));
    return { ok: true, models: [...models] };
  } catch (error) {
    if (!(error instanceof AppError)) console.error(error);
    const { code, message } = toPublicError(error, crypto.randomUUID());
    return { ok: false, code, message };
  }
}

async function reply(
  type: Parameters<typeof openProvider>[0],
  model: string,
  options: ProviderOptions,
): Promise<ProbeAnswer> {
  const provider = await openProvider(type, options);
  const messages = [{ role: "user", content: PROMPT }] as const;
  const request = { model, messages, tools: [], timeoutMs: LIMITS.modelProbeMs };
  let text = "";
  let tokens: number | undefined;
  for await (const event of provider.stream(request, new AbortController().signal)) {
    if (event.type === "text") text += event.text;
    if (event.type === "usage") tokens = event.usage.totalTokens ?? event.usage.completionTokens;
    if (event.type === "failed") return { ok: false, code: event.code, message: event.message };
  }
  return { ok: true, text: text.slice(0, LIMITS.idCharsMax), ...(tokens === undefined ? {} : { tokens }) };
}

Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(await answer())}\n`));
