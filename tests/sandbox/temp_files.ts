import { join } from "node:path";
import { type FileCall, type Files, type HostAnswer, openFiles } from "#/sandbox/files.ts";
import type { FileHostCall, HostAnswers } from "#/sandbox/host_call.ts";
import { type Kept, openKept } from "#/sandbox/kept.ts";

/** Roots, a run folder and something outside, in a fresh folder that `dispose` removes. */
export interface TempFiles extends Disposable {
  readonly dir: string;
  readonly shared: string;
  readonly outside: string;
  readonly kept: Kept;
  readonly files: Files;
  /** One host call with generous allowances, in a call of its own. */
  run<F extends FileHostCall["fn"]>(
    call: Extract<FileHostCall, { fn: F }>,
  ): Promise<{ value: HostAnswers[F]; content: Uint8Array; text: string }>;
}

/** Opens them. */
export function openTempFiles(
  options: { keptBytesMax?: number; rootBytesMax?: number; parent?: string } = {},
): TempFiles {
  const parent = options.parent === undefined ? {} : { dir: options.parent };
  const dir = Deno.makeTempDirSync({ prefix: "oxydra-files-", ...parent });
  const roots = { shared: join(dir, "shared"), tmp: join(dir, "tmp"), vault: join(dir, "vault") };
  for (const root of [...Object.values(roots), join(dir, "run"), join(dir, "outside")]) Deno.mkdirSync(root);
  Deno.writeTextFileSync(join(dir, "outside", "secret.txt"), "SECRET");
  const bytesMax = options.keptBytesMax === undefined ? {} : { bytesMax: options.keptBytesMax };
  const kept = openKept({ dir: join(dir, "run", "kept"), now: () => 1_000, ...bytesMax });
  const rootBytesMax = options.rootBytesMax === undefined ? {} : { rootBytesMax: options.rootBytesMax };
  const files = openFiles({ roots, kept, ...rootBytesMax });
  return {
    dir,
    shared: roots.shared,
    outside: join(dir, "outside"),
    kept,
    files,
    async run<F extends FileHostCall["fn"]>(call: Extract<FileHostCall, { fn: F }>) {
      using one = files.openCall();
      return await runOne<F>(one, call);
    },
    [Symbol.dispose]() {
      files[Symbol.dispose]();
      Deno.removeSync(dir, { recursive: true });
    },
  };
}

/** One host call of a call that goes on. */
export async function runOne<F extends FileHostCall["fn"]>(
  call: FileCall,
  hostCall: Extract<FileHostCall, { fn: F }>,
  options: { bytesMax?: number; entriesMax?: number; signal?: AbortSignal } = {},
): Promise<{ value: HostAnswers[F]; content: Uint8Array; text: string }> {
  const allowance = { bytesMax: options.bytesMax ?? 10_000_000, entriesMax: options.entriesMax ?? 10_000 };
  const answer: HostAnswer = await call.run(hostCall, allowance, options.signal ?? new AbortController().signal);
  const content = answer.content ?? new Uint8Array();
  return { value: answer.value as HostAnswers[F], content, text: new TextDecoder().decode(content) };
}
