import type { Vendors } from "#/provider/catalog.ts";

/** The catalog that ships with the program: a part of models.dev, made by `deno task catalog:snapshot`. */
export interface Snapshot {
  /** Where it is from: address, commit, its date (ISO 8601) and the licence text. */
  readonly source: { readonly url: string; readonly commit: string; readonly date: string; readonly license: string };
  readonly vendors: Vendors;
}

/** Reads the snapshot, from beside this file or, for a program from a URL, from the module graph that `cli/entries.ts` names it in. */
export async function readSnapshot(): Promise<Snapshot> {
  const url = new URL("./catalog_snapshot.json", import.meta.url);
  if (url.protocol === "file:") return JSON.parse(Deno.readTextFileSync(url));
  // No literal: every start would read the file before its first line.
  return (await import(url.href, { with: { type: "json" } })).default;
}
