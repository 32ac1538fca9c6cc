import type { HttpMethod } from "#/core/capability.ts";
import { LIMITS } from "#/core/limits.ts";
import { decodeBody } from "#/sandbox/child_body.ts";
import type { HostAnswers, HostCall, ListEntry } from "#/sandbox/host_call.ts";
import type { InterfaceName, toImportName } from "#/sandbox/component_interfaces.ts";

/** Asks the broker and waits. Throws a `HostFailure` record when it refuses. */
export type Ask = <F extends HostCall["fn"]>(
  call: Extract<HostCall, { fn: F }>,
) => { readonly value: HostAnswers[F]; readonly content: Uint8Array<ArrayBuffer> };

/** Functions of each interface, as jco's glue asks for them. */
export type Imports = Readonly<Record<ReturnType<typeof toImportName>, Readonly<Record<string, unknown>>>>;

/** The WIT record `request` as the glue hands it over. */
interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly body: string;
  readonly secrets: readonly { readonly header: string; readonly name: string }[];
}

type Gate = <A extends unknown[], R>(name: InterfaceName, run: (...args: A) => R) => (...args: A) => R;

/** The WIT record `failure`; thrown by a host function, it arrives in the component as the error of a `result`. */
export interface HostFailure {
  readonly code: string;
  readonly message: string;
}

// A byte order mark belongs to the text: an edit writes back what it read.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The import object of every world in tool.wit, by interface; a component sees those that it imports. `isOpen` is asked at each call: an
 * interface that the grant of the running call does not open fails at once and reaches nobody.
 */
export function toImports(ask: Ask, isOpen: (name: string) => boolean): Imports {
  const gate: Gate = (name, run) => (...args) => {
    if (!isOpen(name)) throw toRefusal(name);
    return run(...args);
  };
  return { ...toFileImports(ask, gate), ...toWebImports(ask, gate), ...toOwnImports(gate) };
}

function toFileImports(ask: Ask, gate: Gate) {
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

function toWebImports(ask: Ask, gate: Gate) {
  return {
    "oxydra:tool/http": {
      fetch: gate("http", (request: HttpRequest) => {
        const { value, content } = ask<"http.fetch">({
          fn: "http.fetch",
          method: request.method.toUpperCase() as HttpMethod,
          url: request.url,
          headers: request.headers.map(({ name, value }) => [name, value] as const),
          body: request.body,
          secrets: request.secrets.map(({ header, name }) => ({ header, name })),
        });
        const contentType = value.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
        return {
          status: value.status,
          url: value.url,
          headers: value.headers.map(([name, value]) => ({ name, value })),
          contentType,
          ...decodeBody(contentType, content),
          bytes: value.bytes,
          truncated: value.truncated,
        };
      }),
    },
    "oxydra:tool/config": {
      get: gate("config", (key: string) => ask<"config.get">({ fn: "config.get", key }).value.value ?? undefined),
    },
    "oxydra:tool/log": {
      write: gate("log", (level: "debug" | "info" | "warn" | "error", message: string) => {
        ask<"log.write">({ fn: "log.write", level, message: message.slice(0, LIMITS.logLineCharsMax) });
      }),
    },
  };
}

/** What this process has itself: no answer of the runner would be better. */
function toOwnImports(gate: Gate) {
  return {
    "oxydra:tool/clock": { nowMs: gate("clock", () => Date.now()) },
    "oxydra:tool/random": {
      bytes: gate("random", (count: number) => {
        if (count > LIMITS.randomBytesMax) {
          throw toFailure("quota_exceeded", `at most ${LIMITS.randomBytesMax} random bytes at once`);
        }
        return crypto.getRandomValues(new Uint8Array(count));
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
