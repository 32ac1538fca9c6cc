import type { HostAnswers, HostCall, ListEntry } from "#/sandbox/host_call.ts";

/** Asks the broker and waits. Throws a `HostFailure` record when it refuses. */
export type Ask = <F extends HostCall["fn"]>(
  call: Extract<HostCall, { fn: F }>,
) => { readonly value: HostAnswers[F]; readonly content: Uint8Array<ArrayBuffer> };

/** Functions of each interface, as jco's glue asks for them. */
export type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** The WIT record `failure`; thrown by a host function, it arrives in the component as the error of a `result`. */
export interface HostFailure {
  readonly code: string;
  readonly message: string;
}

// A byte order mark belongs to the text: an edit writes back what it read.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The import object of the world `oxydra:tool/files`, by interface. `isOpen` is asked at each call: an interface that the grant
 * of the running call does not open fails at once and reaches nobody.
 */
export function toImports(ask: Ask, isOpen: (name: string) => boolean): Imports {
  const gate = <A extends unknown[], R>(name: string, run: (...args: A) => R) => (...args: A): R => {
    if (!isOpen(name)) throw toRefusal(name);
    return run(...args);
  };
  return {
    "oxydra:tool/fs-read": {
      readText: gate("fs-read", (path: string) => {
        const { value, content } = ask<"fs-read.read-text">({ fn: "fs-read.read-text", path });
        return { text: decodeText(path, content), bytes: value.bytes, sha256: value.sha256 };
      }),
      list: gate("fs-read", (path: string, recursive: boolean) => {
        const { value } = ask<"fs-read.list">({ fn: "fs-read.list", path, recursive });
        return { entries: value.entries.map(toEntry), truncated: value.truncated };
      }),
      scan: gate("fs-read", (path: string, glob: string, cursor: string) => {
        const { value, content } = ask<"fs-read.scan">({ fn: "fs-read.scan", path, glob, cursor });
        let at = 0;
        const files = value.files.map((file) => ({
          path: file.path,
          text: lenient.decode(content.subarray(at, at += file.bytes)),
        }));
        return { files, next: value.next, skipped: value.skipped };
      }),
    },
    "oxydra:tool/fs-write": {
      writeText: gate("fs-write", (path: string, text: string, expectSha256: string | undefined) => {
        const expected = expectSha256 === undefined ? {} : { expectSha256 };
        return ask<"fs-write.write-text">({ fn: "fs-write.write-text", path, text, ...expected }).value;
      }),
      remove: gate("fs-write", (path: string) => {
        return ask<"fs-write.remove">({ fn: "fs-write.remove", path }).value.bytes;
      }),
    },
  };
}

function toEntry(entry: ListEntry): ListEntry {
  return { path: entry.path, kind: entry.kind, bytes: entry.bytes, modifiedAt: entry.modifiedAt };
}

function decodeText(path: string, content: Uint8Array): string {
  try {
    return strict.decode(content);
  } catch {
    throw toFailure("file_not_regular", `${path} is not UTF-8 text`);
  }
}

function toRefusal(name: string): HostFailure {
  return toFailure("tool_denied", `${name} is not granted to this call`);
}

function toFailure(code: string, message: string): HostFailure {
  return { code, message };
}
