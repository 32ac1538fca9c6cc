/**
 * Builds bindgen.json, the transpiler that `oxydra tools add` runs, from the pinned package; with `--verify` builds it again and
 * compares every byte with what is committed. Needs npm; the tool chain is installed from package-lock.json when it is not there.
 */
import { installToolchain, runScript } from "./build/toolchain.ts";

const COMMITTED = new URL("bindgen.json", import.meta.url).pathname;

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Exit code: 0 built, or equal; 1 when it differs or cannot be built. */
async function main(args: readonly string[]): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "oxydra-bindgen-" });
  try {
    await installToolchain();
    const built = `${scratch}/bindgen.json`;
    await runScript("bundle_bindgen.ts", [built]);
    if (!args.includes("--verify")) {
      await Deno.copyFile(built, COMMITTED);
      console.log(
        `built ${COMMITTED}; its digest belongs into BINDGEN_SHA256 of src/sandbox/component.ts`,
      );
      return 0;
    }
    if (await Deno.readTextFile(built) === await Deno.readTextFile(COMMITTED)) {
      console.log(`${COMMITTED} is what the pinned package gives`);
      return 0;
    }
    console.error(
      `${COMMITTED} is not what the pinned package gives. Run: deno run -A tools-wasm/bindgen.ts`,
    );
    return 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
