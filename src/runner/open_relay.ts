import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { spawnPiped } from "#/lib/spawn_piped.ts";
import type { ProcessPlan } from "#/runner/process_plan.ts";

/** A relay that listens. */
export interface Relay {
  /** One for each target, in their order. */
  readonly ports: readonly number[];
  /** Ends it with its connections. */
  close(): Promise<void>;
}

/** Starts a relay. Throws AppError `guest_failed` when it does not say within `relayStartMs` where it listens; no process is left then. */
export async function openRelay(plan: ProcessPlan, onLog: (line: string) => void): Promise<Relay> {
  const child = spawnPiped(plan);
  const close = async () => {
    attempt(() => child.kill("SIGKILL"));
    await Promise.all([child.status, child.stdin.abort().catch(() => {}), logged]);
  };
  const logged = (async () => {
    for await (const line of child.stderr.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
      onLog(`relay: ${line.slice(0, LIMITS.logLineCharsMax)}`);
    }
  })().catch(() => {});
  const timer = setTimeout(close, LIMITS.relayStartMs);
  try {
    return { ports: JSON.parse(await readLine(child.stdout)), close };
  } catch (cause) {
    await close();
    throw new AppError("guest_failed", "the relay to servers on this machine did not start", { cause });
  } finally {
    clearTimeout(timer);
  }
}

async function readLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("\n") || text.length > LIMITS.relayAnswerBytesMax) break;
  }
  return text;
}
