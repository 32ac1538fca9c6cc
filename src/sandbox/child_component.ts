import vm from "node:vm";
import { LIMITS } from "#/core/limits.ts";
import type { Imports } from "#/sandbox/child_imports.ts";

/** One fresh instance of a component. It is used for one call and dropped: a trap or a timeout leaves it in no defined state. */
export interface Instance {
  describe(): string;
  execute(tool: string, args: string): string;
}

/** What came of a guarded call. */
export type Executed =
  | { readonly kind: "done"; readonly ok: boolean; readonly code: string; readonly text: string }
  | { readonly kind: "timeout" };

/** Makes instances of one loaded component. */
export type Instantiate = (imports: Imports) => Promise<Instance>;

const GUARDED = new vm.Script("globalThis.__oxydraCall()");

/**
 * Loads a transpiled component from memory: `*.js` is jco's glue (instantiation mode `async`), `*.wasm` its core modules. Throws for
 * what does not compile; the glue runs in this realm, which is why the realm has no permission.
 */
export async function loadComponent(
  files: readonly { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }[],
): Promise<Instantiate> {
  const glue = files.find((file) => file.name.endsWith(".js"));
  if (glue === undefined) throw new Error("a component package has no glue");
  const cores = new Map<string, WebAssembly.Module>();
  for (const file of files) {
    if (file.name.endsWith(".wasm")) cores.set(file.name, await WebAssembly.compile(file.bytes));
  }
  const url = URL.createObjectURL(new Blob([glue.bytes], { type: "text/javascript" }));
  const { instantiate } = await import(url);
  URL.revokeObjectURL(url);
  const link = (module: WebAssembly.Module, imports: WebAssembly.Imports) => new WebAssembly.Instance(module, imports);
  return async (imports) => {
    const { describe, execute } = await instantiate((name: string) => cores.get(name), imports, link);
    // `init`, which every QuickJS component exports for its build, stays behind.
    return { describe, execute };
  };
}

/**
 * Runs one call under a deadline. The `node:vm` timeout interrupts WebAssembly and JavaScript about 1 ms late (facts/wasm.md §4);
 * a blocking read is not interrupted, so the broker answers before the deadline.
 */
export function executeGuarded(instance: Instance, tool: string, args: string, timeoutMs: number): Executed {
  const realm = globalThis as { __oxydraCall?: () => string };
  realm.__oxydraCall = () => instance.execute(tool, args);
  try {
    return { kind: "done", ok: true, code: "ok", text: String(GUARDED.runInThisContext({ timeout: timeoutMs })) };
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return { kind: "timeout" };
    return toFailed(error);
  } finally {
    delete realm.__oxydraCall;
  }
}

/** The longest start of `text` within `toolOutputBytesMax` that ends on a character, as UTF-8, and the size of the whole. */
export function toOutput(text: string): { readonly content: Uint8Array<ArrayBuffer>; readonly outputBytes: number } {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= LIMITS.toolOutputBytesMax) return { content: bytes, outputBytes: bytes.length };
  let end: number = LIMITS.toolOutputBytesMax;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return { content: bytes.slice(0, end), outputBytes: bytes.length };
}

/** A `failure` record of the component, or a trap. */
function toFailed(error: unknown): Executed {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (!(error instanceof Error) && typeof code === "string" && typeof message === "string") {
    return { kind: "done", ok: false, code, text: message };
  }
  const reason = error instanceof Error ? error.message : "an unknown value was thrown";
  return { kind: "done", ok: false, code: "tool_crashed", text: `the tool stopped: ${reason}` };
}
