import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";

/** Something on this machine that lists models in OpenAI's way. */
export interface LocalServer {
  /** What usually listens there. */
  readonly label: string;
  /** Base URL, ends with `/v1`. */
  readonly baseUrl: string;
  /** Model ids, at least one, safe to print and to paste into a shell. */
  readonly models: readonly string[];
}

/** Where local model servers listen by default: docs.ollama.com/api, lmstudio.ai/docs. */
const CANDIDATES = [
  { label: "Ollama", baseUrl: "http://127.0.0.1:11434/v1" },
  { label: "LM Studio", baseUrl: "http://127.0.0.1:1234/v1" },
] as const;

// Whoever listens on such a port chooses these names, and we print them inside a command that a person pastes.
const MODEL_ID = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/;
const ModelList = z.object({ data: z.array(z.object({ id: z.string() })) });

/**
 * Asks `GET /models` of each candidate, all at once, within `probeMs`; no key, no prompt, no redirect is followed. What does not
 * answer, or answers anything else, is left out. Never throws.
 */
export async function probeLocalServers(
  fetcher: typeof fetch,
  options: { readonly candidates?: readonly { label: string; baseUrl: string }[]; readonly timeoutMs?: number } = {},
): Promise<LocalServer[]> {
  const signal = AbortSignal.timeout(options.timeoutMs ?? LIMITS.probeMs);
  const found = await Promise.all((options.candidates ?? CANDIDATES).map(async ({ label, baseUrl }) => {
    try {
      const response = await fetcher(`${baseUrl}/models`, { signal, redirect: "manual" });
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        return [];
      }
      const list = ModelList.parse(JSON.parse(await readBounded(response.body)));
      const ids = list.data.slice(0, LIMITS.probeModelsMax).map((model) => model.id);
      const models = ids.filter((id) => MODEL_ID.test(id));
      return models.length > 0 ? [{ label, baseUrl, models }] : [];
    } catch {
      return [];
    }
  }));
  return found.flat();
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > LIMITS.probeBytesMax) throw new RangeError("the list of models is too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
