import { LIMITS } from "#/core/limits.ts";

/** A log that keeps its newest lines within a bound. */
export interface LogFile {
  write(line: string): void;
  close(): void;
}

/**
 * Opens a log file for appending, mode 0600, in a folder that only the runner writes. At half of `logBytesMax` the file becomes
 * `<path>.1` and a new one begins, so that both together stay within the bound. A full disk loses lines, never the caller.
 */
export function openLogFile(path: string, bytesMax: number = LIMITS.logBytesMax): LogFile {
  let file = open(path);
  let bytes = file.statSync().size;
  const encoder = new TextEncoder();
  return {
    write(line) {
      const entry = encoder.encode(`${new Date().toISOString()} ${line}\n`);
      try {
        if (bytes + entry.length > bytesMax / 2) {
          file.close();
          Deno.renameSync(path, `${path}.1`);
          file = open(path);
          bytes = 0;
        }
        bytes += file.writeSync(entry);
      } catch {
        // Nowhere to write it down.
      }
    },
    close: () => file.close(),
  };
}

function open(path: string): Deno.FsFile {
  return Deno.openSync(path, { append: true, create: true, mode: 0o600 });
}
