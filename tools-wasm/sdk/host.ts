/** The interfaces of wit/tool.wit as TypeScript sees them in a guest: camelCase names, `result` as return or throw. */

/** `oxydra:tool/fs-read`. Every function throws an Error whose `payload` is a `{code, message}` when the host refuses. */
export interface FsRead {
  readText(
    path: string,
  ): { readonly text: string; readonly bytes: number; readonly sha256: string };
  list(
    path: string,
    recursive: boolean,
  ): { readonly entries: readonly HostEntry[]; readonly truncated: boolean };
  /** `glob` is `""` for every file; `cursor` is `""` first, then the last page's `next`. */
  scan(path: string, glob: string, cursor: string): HostPage;
}

/** One entry of a listing. */
export interface HostEntry {
  readonly path: string;
  readonly kind: "file" | "dir" | "other";
  readonly bytes: number;
  readonly modifiedAt: number;
}

/** A page of text files in path order; `next` is `""` at the end. */
export interface HostPage {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly next: string;
  readonly skipped: number;
}

/** `oxydra:tool/fs-write`. */
export interface FsWrite {
  writeText(
    path: string,
    text: string,
    expectSha256: string | undefined,
  ): {
    readonly bytes: number;
    readonly created: boolean;
    readonly sha256: string;
  };
  remove(path: string): number;
}

/** `oxydra:tool/http`. Throws as `FsRead` does. */
export interface Http {
  fetch(request: HttpRequest): HttpResponse;
}

/** One request; `secrets` names the headers that the host fills in. */
export interface HttpRequest {
  readonly method:
    | "get"
    | "head"
    | "post"
    | "put"
    | "patch"
    | "delete"
    | "options";
  readonly url: string;
  readonly headers: readonly HttpHeader[];
  readonly body: string;
  readonly secrets: readonly {
    readonly header: string;
    readonly name: string;
  }[];
}

/** One header. */
export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

/** An answer of any status. `charset` is `""` when the body is no text; `text` is then `""` as well. */
export interface HttpResponse {
  readonly status: number;
  readonly url: string;
  readonly headers: readonly HttpHeader[];
  readonly contentType: string;
  readonly charset: string;
  readonly text: string;
  readonly bytes: number;
  readonly truncated: boolean;
}

/** `oxydra:tool/config`. A refusal ends the instance. */
export interface Config {
  get(key: string): string | undefined;
}

/** `oxydra:tool/random`. A refusal ends the instance. */
export interface Random {
  bytes(count: number): Uint8Array;
}

/** `oxydra:tool/log`. A refusal ends the instance. */
export interface Log {
  write(level: "debug" | "info" | "warn" | "error", message: string): void;
}

/** What the tools of the world `files` may call. */
export interface FilesHost {
  readonly read: FsRead;
  readonly write: FsWrite;
}

/** What the tools of the world `web` may call. */
export interface WebHost {
  readonly http: Http;
  readonly config: Config;
  readonly random: Random;
  readonly log: Log;
}
