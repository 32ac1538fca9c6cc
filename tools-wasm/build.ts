/**
 * Builds the tool components, or with `--verify` builds them again and compares every byte with the committed artefacts.
 * Needs Linux, a C compiler (`cc`) and npm; the tool chain is installed from package-lock.json when it is not there.
 * `--root DIR` takes the sources (wit/, sdk/, the packages and their artefacts) from another folder.
 */
import { LIMITS } from "../src/core/limits.ts";
import { type Artefact, differences } from "./build/artefact.ts";
import { installToolchain, runCommand, runScript } from "./build/toolchain.ts";

const HERE = import.meta.dirname!;
const BOUNDS = {
  pagesMax: LIMITS.componentPagesMax,
  tableEntriesMax: LIMITS.componentTableEntriesMax,
  segmentsMax: LIMITS.componentSegmentsMax,
};
/** Every package: a folder, and beside it the artefact that is committed. */
const PACKAGES = ["files", "web"];

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Exit code: 0 built, or equal; 1 when it differs or cannot be built. */
async function main(args: readonly string[]): Promise<number> {
  const at = args.indexOf("--root");
  const root = at < 0 ? HERE : await Deno.realPath(args[at + 1]!);
  const scratch = await Deno.makeTempDir({ prefix: "oxydra-tools-" });
  try {
    await installToolchain();
    const preload = await compilePreload(scratch);
    let code = 0;
    for (const name of PACKAGES) {
      const committed = `${root}/${name}.json`;
      const built = `${scratch}/${name}.json`;
      await compile(root, name, built, preload);
      if (args.includes("--verify")) code = Math.max(code, await verify(built, committed));
      else {
        await Deno.copyFile(built, committed);
        console.log(`built ${committed}`);
      }
    }
    return code;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** The library that holds clock and randomness still, for `LD_PRELOAD`. */
async function compilePreload(scratch: string): Promise<string> {
  if (Deno.build.os !== "linux") {
    throw new Error("the tool components are built on Linux only: their bytes depend on a preloaded clock");
  }
  const preload = `${scratch}/fixed.so`;
  const args = ["-shared", "-fPIC", "-O1", "-o", preload, `${HERE}/build/fixed.c`];
  await runCommand("cc", args, "a C compiler (cc) is needed", {});
  return preload;
}

async function compile(root: string, name: string, out: string, preload: string): Promise<void> {
  await runScript("compile.ts", [root, name, out, JSON.stringify(BOUNDS)], { LD_PRELOAD: preload });
}

async function verify(built: string, committed: string): Promise<number> {
  const [now, then]: Artefact[] = await Promise.all(
    [built, committed].map(async (path) => JSON.parse(await Deno.readTextFile(path))),
  ) as [Artefact, Artefact];
  const parts = differences(now!, then!);
  if (parts.length === 0) {
    console.log(
      `${committed} is what its source builds to (component ${now!.component.sha256})`,
    );
    return 0;
  }
  console.error(
    `${committed} is not what its source builds to. Different: ${parts.join(", ")}. Run: deno task tools:build`,
  );
  return 1;
}
