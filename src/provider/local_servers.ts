import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";
import { readBounded } from "#/lib/read_bounded.ts";

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

/** Where to look instead of the usual places, for how long, and how it is found out that somebody listens. */
export interface ProbeOptions {
  readonly candidates?: readonly { readonly label: string; readonly baseUrl: string }[];
  readonly timeoutMs?: number;
  readonly isListening?: (baseUrl: string) => Promise<boolean>;
}

/**
 * Asks `GET /models` of each candidate, all at once, within `probeMs`; no key, no prompt, no redirect is followed. What does not
 * answer, or answers anything else, is left out. Never throws.
 */
export async function probeLocalServers(fetcher: typeof fetch, options: ProbeOptions = {}): Promise<LocalServer[]> {
  const signal = AbortSignal.timeout(options.timeoutMs ?? LIMITS.probeMs);
  const { candidates = CANDIDATES, isListening = canConnect } = options;
  const found = await Promise.all(candidates.map(async ({ label, baseUrl }) => {
    try {
      // The first fetch of a process reads its certificates: 7 ms of a start that nobody answers on most machines.
      if (!await isListening(baseUrl)) return [];
      const response = await fetcher(`${baseUrl}/models`, { signal, redirect: "manual" });
      if (!response.ok || !response.body) {
        await response.body?.cancel();
        return [];
      }
      const list = ModelList.parse(JSON.parse(await readBounded(response.body, LIMITS.probeBytesMax)));
      const ids = list.data.slice(0, LIMITS.probeModelsMax).map((model) => model.id);
      const models = ids.filter((id) => MODEL_ID.test(id));
      return models.length > 0 ? [{ label, baseUrl, models }] : [];
    } catch {
      return [];
    }
  }));
  return found.flat();
}

async function canConnect(baseUrl: string): Promise<boolean> {
  const { hostname, port } = new URL(baseUrl);
  try {
    (await Deno.connect({ hostname, port: Number(port) })).close();
    return true;
  } catch {
    return false;
  }
}
