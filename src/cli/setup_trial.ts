import { ProbeAnswer, type ProbeQuestion } from "#/app/model_probe_frames.ts";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { join } from "#/lib/path.ts";
import { readBounded } from "#/lib/read_bounded.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import { toHost } from "#/provider/base_url.ts";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { planModelProbe } from "#/runner/plan_model_probe.ts";
import type { Program } from "#/runner/process_plan.ts";
import type { Chosen } from "#/cli/setup_files.ts";

/** Why a trial did not come to anything. */
export interface Failure {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Tries models, each question in a process that reaches one host and nothing else. */
export interface ModelTrial extends AsyncDisposable {
  /** What the endpoint lists. */
  models(chosen: Chosen): Promise<{ readonly ok: true; readonly models: readonly string[] } | Failure>;
  /** A word of the model. */
  reply(
    chosen: Chosen & { readonly model: string },
  ): Promise<{ readonly ok: true; readonly text: string; readonly ms: number } | Failure>;
}

/** What a trial needs of the outside. */
export interface TrialDeps {
  readonly program: Program;
  readonly env: Readonly<Record<string, string>>;
  say(line: string): void;
}

/** Opens a trial; its lock file lies in a temporary folder until it is disposed of. */
export async function openModelTrial(deps: TrialDeps): Promise<ModelTrial> {
  const folder = await Deno.makeTempDir({ prefix: "oxydra-setup-" });
  const lockPath = join(folder, "guest.lock");
  const wrong: Failure = {
    ok: false,
    code: "provider_protocol",
    message: "the process that tried it gave another answer",
  };
  return {
    async models(chosen) {
      const answer = await ask("models", { ...chosen, model: "-" }, deps, lockPath);
      return !answer.ok || "models" in answer ? answer : wrong;
    },
    async reply(chosen) {
      const startedAt = performance.now();
      const answer = await ask("reply", chosen, deps, lockPath);
      if (!answer.ok) return answer;
      return "text" in answer ? { ...answer, ms: Math.round(performance.now() - startedAt) } : wrong;
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

async function ask(
  question: ProbeQuestion["ask"],
  chosen: Chosen & { readonly model: string },
  { program, env, say }: TrialDeps,
  lockPath: string,
): Promise<ProbeAnswer> {
  const { name, type, baseUrl, key, keyVariable, model } = chosen;
  const host = toHost(baseUrl, type);
  await writeGuestLock(program, lockPath);
  say(question === "models" ? `· asking ${host} for its models …` : `· asking ${model} for one word …`);
  const child = spawnPiped(planModelProbe({ program, env, lockPath, host }));
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMITS.modelProbeMs + LIMITS.guestStartMs);
  try {
    const text: ProbeQuestion = {
      ask: question,
      model: {
        provider: name,
        type,
        model,
        ...(baseUrl === undefined ? {} : { baseUrl }),
        ...(key === undefined ? {} : { apiKey: key.reveal() }),
        apiKeySource: keyVariable ?? "the key that you typed",
        extraHeaders: {},
        reason: "",
      },
    };
    void child.stderr.pipeTo(Deno.stderr.writable, { preventClose: true }).catch(() => {});
    await ReadableStream.from([new TextEncoder().encode(JSON.stringify(text))]).pipeTo(child.stdin);
    return ProbeAnswer.parse(JSON.parse(await readBounded(child.stdout, LIMITS.modelListBytesMax)));
  } catch (cause) {
    throw new AppError("provider_protocol", "the process that tries the model ended without an answer", { cause });
  } finally {
    clearTimeout(timer);
    await child.status;
  }
}
