import { AppError } from "#/core/error.ts";
import type { Program } from "#/runner/process_plan.ts";

/**
 * Writes the lock of the guest's modules, from beside this file or, for a program from a URL, from the module graph, where it ships as
 * JSON (facts/packaging.md §1.1; from a file the module loader would take 5 ms longer). Throws AppError `guest_failed`.
 */
export async function writeGuestLock(program: Program, path: string): Promise<void> {
  try {
    const text = program.source === "file"
      ? Deno.readTextFileSync(new URL("./lock.json", import.meta.url))
      : JSON.stringify((await import("./lock.json", { with: { type: "json" } })).default);
    Deno.writeTextFileSync(path, text, { mode: 0o600 });
  } catch (cause) {
    throw new AppError("guest_failed", "the guest's lock file cannot be written", { cause });
  }
}
