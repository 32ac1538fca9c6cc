import type { FilesHost } from "../sdk/host.ts";
import { plural } from "../sdk/text.ts";
import { toCanonicalPath } from "./text.ts";

/** Writes a whole file and says whether it was there before. */
export function writeFile(
  args: { readonly path: string; readonly content: string },
  host: FilesHost,
): string {
  const path = toCanonicalPath(args.path);
  const { bytes, created } = host.write.writeText(
    path,
    args.content,
    undefined,
  );
  return `${created ? "Created" : "Replaced"} ${path} (${plural(bytes, "byte")}).`;
}

/** Deletes one file. */
export function deleteFile(
  args: { readonly path: string },
  host: FilesHost,
): string {
  const path = toCanonicalPath(args.path);
  return `Deleted ${path} (${plural(host.write.remove(path), "byte")}).`;
}
