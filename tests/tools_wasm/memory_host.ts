import type { FilesHost } from "../../tools-wasm/sdk/host.ts";

/** A host over a map of virtual paths, for the tools' own logic; what files really do is tested through the broker. */
export function openMemoryHost(
  files: Record<string, string>,
  options: { filesPerPage?: number; failAt?: string } = {},
) {
  const content = new Map(Object.entries(files));
  const fail = (code: string, message: string): never => {
    throw Object.assign(new Error("(see error.payload)"), {
      payload: { code, message },
    });
  };
  const bytesOf = (text: string) => new TextEncoder().encode(text).length;
  const host: FilesHost = {
    read: {
      readText(path) {
        const text = content.get(path) ??
          fail("file_not_found", `${path} does not exist`);
        return { text, bytes: bytesOf(text), sha256: `hash of ${text}` };
      },
      list(path) {
        const entries = [...content].filter(([name]) => name.startsWith(`${path}/`)).map(([name, text]) => ({
          path: name,
          kind: name.endsWith(".d") ? "dir" as const : "file" as const,
          bytes: bytesOf(text),
          modifiedAt: 0,
        }));
        return { entries, truncated: false };
      },
      scan(path, _glob, cursor) {
        if (options.failAt === cursor) {
          fail("quota_exceeded", "the search stopped after its bytes");
        }
        if (content.has(path)) fail("path_invalid", `${path} is not a folder`);
        const all = [...content].filter(([name]) => name.startsWith(`${path}/`))
          .map(([name, text]) => ({
            path: name,
            text,
          }));
        const from = Number(cursor);
        const to = from + (options.filesPerPage ?? 2);
        return {
          files: all.slice(from, to),
          next: to < all.length ? String(to) : "",
          skipped: cursor === "" ? 1 : 0,
        };
      },
    },
    write: {
      writeText(path, text, expectSha256) {
        const created = !content.has(path);
        if (
          expectSha256 !== undefined &&
          `hash of ${content.get(path)}` !== expectSha256
        ) {
          fail("file_changed", `${path} changed`);
        }
        content.set(path, text);
        return { bytes: bytesOf(text), created, sha256: "" };
      },
      remove(path) {
        const text = content.get(path) ??
          fail("file_not_found", `${path} does not exist`);
        content.delete(path);
        return bytesOf(text);
      },
    },
  };
  return { host, content };
}
