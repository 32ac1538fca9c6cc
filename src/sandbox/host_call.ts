import type { HttpMethod } from "#/core/capability.ts";

/**
 * What a tool child may ask the broker while a call runs, and how it is answered. The broker checks each one against the
 * grant of that call id. A file's content follows the head as byte frames; nothing else does.
 */
export type HostCall = FileHostCall | NetHostCall;

/** Calls that need the network, a setting or the runner's log. */
export type NetHostCall =
  /** One request; redirects are followed as far as policy goes. Headers named in `secrets` get the value of that secret. */
  | {
    readonly fn: "http.fetch";
    readonly method: HttpMethod;
    readonly url: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    /** Text in UTF-8; `""` for none. */
    readonly body: string;
    readonly secrets: readonly { readonly header: string; readonly name: string }[];
  }
  /** `key` begins with its section: `web_search.provider`. */
  | { readonly fn: "config.get"; readonly key: string }
  | { readonly fn: "log.write"; readonly level: "debug" | "info" | "warn" | "error"; readonly message: string };

/** Calls that touch files. */
export type FileHostCall =
  | { readonly fn: "fs-read.read-text"; readonly path: string }
  | { readonly fn: "fs-read.list"; readonly path: string; readonly recursive: boolean }
  /** A page of the text files below `path`, in path order; `cursor` is `""` first, then the last page's `next`. */
  | { readonly fn: "fs-read.scan"; readonly path: string; readonly glob: string; readonly cursor: string }
  /** Replaces or creates. With `expectSha256` it is refused when the content is another one by now; `"absent"`: only create. */
  | { readonly fn: "fs-write.write-text"; readonly path: string; readonly text: string; readonly expectSha256?: string }
  | { readonly fn: "fs-write.remove"; readonly path: string }
  /** Of the runner's own tools alone: no child can send it. */
  | { readonly fn: "fs-read.read-bytes"; readonly path: string }
  | {
    readonly fn: "fs-write.write-bytes";
    readonly path: string;
    readonly content: Uint8Array;
    readonly expectSha256?: string;
  };

/** One entry of a listing. `path` is virtual. */
export interface ListEntry {
  readonly path: string;
  readonly kind: "file" | "dir" | "other";
  readonly bytes: number;
  /** Integer ms UTC. */
  readonly modifiedAt: number;
}

/** Value of each answer; content comes behind it in byte frames where stated. */
export interface HostAnswers {
  /** Content: the file, `bytes` long. */
  "fs-read.read-text": { readonly bytes: number; readonly sha256: string };
  "fs-read.list": { readonly entries: readonly ListEntry[]; readonly truncated: boolean };
  /** Content: the files' bytes one after another, each `bytes` long. `next` is `""` at the end. */
  "fs-read.scan": {
    readonly files: readonly { readonly path: string; readonly bytes: number }[];
    readonly next: string;
    /** Files passed over: binary, too large, unreadable. */
    readonly skipped: number;
  };
  "fs-write.write-text": { readonly bytes: number; readonly created: boolean; readonly sha256: string };
  "fs-write.remove": { readonly bytes: number };
  "fs-read.read-bytes": { readonly bytes: number; readonly sha256: string };
  "fs-write.write-bytes": { readonly bytes: number; readonly created: boolean; readonly sha256: string };
  /** Content: the body after inflating, `bytes` long. `url` is where the answer came from in the end. */
  "http.fetch": {
    readonly status: number;
    readonly url: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly bytes: number;
    /** The body was longer than the grant's `bytesDownMax`. */
    readonly truncated: boolean;
  };
  "config.get": { readonly value: string | null };
  "log.write": Record<never, never>;
}

/** Runner → child. Call id 0 for `load`, the broker's call number for the rest. */
export type ToChild =
  /** Byte frames follow, in the order of `files`. */
  | {
    readonly v: 1;
    readonly type: "load";
    readonly package: string;
    readonly files: readonly { readonly name: string; readonly bytes: number }[];
  }
  | {
    readonly v: 1;
    readonly type: "call";
    readonly tool: string;
    readonly args: unknown;
    readonly timeoutMs: number;
    /** WIT interfaces that the grant opens (`fs-read`, `http`, …); the others answer "not granted" inside the child. */
    readonly interfaces: readonly string[];
  }
  | {
    readonly v: 1;
    readonly type: "answer";
    readonly ok: true;
    readonly value: unknown;
    readonly contentBytes: number;
  }
  | { readonly v: 1; readonly type: "answer"; readonly ok: false; readonly code: string; readonly message: string };

/** Child → runner. */
export type FromChild =
  /** `describe`: what the component says of itself, cut at `describeCharsMax`. */
  | { readonly v: 1; readonly type: "loaded"; readonly describe?: string }
  | { readonly v: 1; readonly type: "load_failed"; readonly message: string }
  | { readonly v: 1; readonly type: "host"; readonly call: HostCall }
  /** The text follows as byte frames, at most `toolOutputBytesMax`; `outputBytes` is its size before that cut. */
  | {
    readonly v: 1;
    readonly type: "result";
    readonly ok: boolean;
    /** An ErrorCode when not ok. */
    readonly code: string;
    readonly outputBytes: number;
    readonly contentBytes: number;
  };
