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

/** What the tools of a world may call. */
export interface Host {
  readonly read: FsRead;
  readonly write: FsWrite;
}
