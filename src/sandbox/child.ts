import "#/lib/stderr_console.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { executeGuarded, type Instance, loadComponent, toOutput } from "#/sandbox/child_component.ts";
import { type Ask, type Imports, toImports } from "#/sandbox/child_imports.ts";
import { SyncLink, type SyncStreams } from "#/sandbox/child_link.ts";
import type { FromChild, HostAnswers, HostCall, ToChild } from "#/sandbox/host_call.ts";

type Call = Extract<ToChild, { type: "call" }>;

/**
 * The tool child: loads one component, then runs calls one after another, each on a fresh instance. It has no permission; all it can
 * do is ask over its streams. Ends when the other end closes, and after a timeout: then nothing in this process is trusted.
 * Returns the exit code. Throws AppError `protocol` when the runner does not keep to the frames.
 */
export async function runChild(streams: SyncStreams): Promise<number> {
  const link = new SyncLink(streams);
  const running = { callId: 0, interfaces: new Set<string>() };
  const imports = toImports(toAsk(link, () => running.callId), (name) => running.interfaces.has(name));
  const loaded = await load(link, imports);
  if (loaded === null) return 1;
  const { make, describe } = loaded;
  let fresh = await make();
  link.write(0, { v: 1, type: "loaded", describe });
  for (let next = link.readMessage(); next !== null; next = link.readMessage()) {
    if (next.message.type !== "call") throw new AppError("protocol", `unexpected ${next.message.type}`);
    running.callId = next.callId;
    running.interfaces = new Set(next.message.interfaces);
    const again = answer(link, fresh, next.message, next.callId);
    running.interfaces = new Set();
    if (!again) return 0;
    // Made while nobody waits: the next call finds it ready.
    fresh = await make();
  }
  return 0;
}

/** Reads the package and loads it; null when it could not be loaded, which the runner has been told then. */
async function load(
  link: SyncLink,
  imports: Imports,
): Promise<{ make: () => Promise<Instance>; describe: string } | null> {
  const first = link.readMessage();
  if (first === null) return null;
  if (first.message.type !== "load") throw new AppError("protocol", `unexpected ${first.message.type}`);
  const files = first.message.files.map(({ name, bytes }) => ({ name, bytes: link.readContent(bytes) }));
  try {
    const instantiate = await loadComponent(files);
    // V8 compiles a function when it is first called: an instance that is thrown away takes that from the first call.
    const describe = String((await instantiate(imports)).describe()).slice(0, LIMITS.describeCharsMax);
    return { make: () => instantiate(imports), describe };
  } catch (error) {
    link.write(0, { v: 1, type: "load_failed", message: String(error).slice(0, 1_000) });
    return null;
  }
}

/** Runs one call and sends its result. False when this process must end. */
function answer(link: SyncLink, instance: Instance, call: Call, callId: number): boolean {
  const executed = executeGuarded(instance, call.tool, JSON.stringify(call.args), call.timeoutMs);
  if (executed.kind === "done") {
    sendResult(link, callId, executed.ok, executed.code, executed.text);
    return true;
  }
  // Interrupted in the middle of a frame: another one would be read as its rest.
  if (!link.broken) sendResult(link, callId, false, "tool_timeout", "the tool reached its deadline");
  return false;
}

function sendResult(link: SyncLink, callId: number, ok: boolean, code: string, text: string): void {
  const { content, outputBytes } = toOutput(text);
  const head: FromChild = { v: 1, type: "result", ok, code, outputBytes, contentBytes: content.length };
  link.write(callId, head, content);
}

/** A synchronous question to the broker. */
function toAsk(link: SyncLink, callId: () => number): Ask {
  return <F extends HostCall["fn"]>(call: Extract<HostCall, { fn: F }>) => {
    ask(link, callId(), call);
    const next = link.readMessage();
    if (next === null || next.message.type !== "answer" || next.callId !== callId()) {
      throw new AppError("protocol", "expected an answer");
    }
    const { message } = next;
    if (!message.ok) throw toRecord(message);
    return { value: message.value as HostAnswers[F], content: link.readContent(message.contentBytes) };
  };
}

function ask(link: SyncLink, callId: number, call: HostCall): void {
  try {
    link.write(callId, { v: 1, type: "host", call });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = `more than ${LIMITS.frameBytesMax} bytes cannot be handed over in one piece`;
    throw toRecord({ code: "file_too_large", message });
  }
}

function toRecord({ code, message }: { readonly code: string; readonly message: string }) {
  return { code, message };
}

if (import.meta.main) {
  const streams = {
    read: (into: Uint8Array) => Deno.stdin.readSync(into),
    write: (bytes: Uint8Array) => Deno.stdout.writeSync(bytes),
  };
  Deno.exit(await runChild(streams));
}
