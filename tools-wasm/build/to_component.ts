import { componentize } from "componentize-qjs";
import { build } from "esbuild";

/** What a component is built from. */
export interface ComponentSource {
  /** Folder that `entry` is relative to. */
  readonly root: string;
  readonly entry: string;
  /** A WIT file, or a folder of them. */
  readonly witPath: string;
  readonly world: string;
}

/** TypeScript or JavaScript in, a component without ambient imports out. */
export async function toComponent(
  { root, entry, witPath, world }: ComponentSource,
): Promise<Uint8Array<ArrayBuffer>> {
  const bundle = await build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    external: ["oxydra:*"],
    charset: "utf8",
    // A component carries the text of its functions: short names make it smaller, and name no folder.
    minify: true,
    logLevel: "silent",
  });
  const jsSource = bundle.outputFiles[0]!.text;
  const made = await componentize({
    witPath,
    world,
    stubWasi: true,
    sync: true,
    optSize: true,
    jsSource,
  });
  return new Uint8Array(made.component);
}
