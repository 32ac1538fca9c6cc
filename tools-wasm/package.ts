/**
 * For authors of a tool package: `deno run -A tools-wasm/package.ts FOLDER OUT` builds FOLDER/main.js (JavaScript or what it imports
 * in TypeScript) for the world of FOLDER/world.wit and writes OUT/NAME.wasm and OUT/NAME.json, the manifest with the component's
 * sha256, for `oxydra tools add`. tests/fixture/packages/ has an example. Needs npm; the tool chain is installed when it is missing.
 */
import { installToolchain, runScript } from "./build/toolchain.ts";

if (import.meta.main) {
  const [folder, out] = Deno.args;
  if (folder === undefined || out === undefined) {
    console.error("usage: deno run -A tools-wasm/package.ts FOLDER OUT");
    Deno.exit(2);
  }
  await buildPackage(folder, out);
}

/** Builds one package. Throws Error with what the tool chain says. */
export async function buildPackage(folder: string, out: string): Promise<void> {
  await installToolchain();
  const wit = await Deno.makeTempDir({ prefix: "oxydra-wit-" });
  try {
    await Deno.copyFile(
      new URL("wit/tool.wit", import.meta.url),
      `${wit}/tool.wit`,
    );
    await Deno.copyFile(`${folder}/world.wit`, `${wit}/world.wit`);
    await Deno.mkdir(out, { recursive: true });
    await runScript("compile_package.ts", [
      await Deno.realPath(folder),
      wit,
      await Deno.realPath(out),
    ]);
  } finally {
    await Deno.remove(wit, { recursive: true });
  }
}
