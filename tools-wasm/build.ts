/**
 * Builds the tool component, or with `--verify` builds it again and compares every byte with the committed files.json.
 * Needs Linux, a C compiler (`cc`) and npm; the tool chain is installed from package-lock.json when it is not there.
 * `--root DIR` takes the sources (wit/, sdk/, files/, files.json) from another folder.
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

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Exit code: 0 built, or equal; 1 when it differs or cannot be built. */
async function main(args: readonly string[]): Promise<number> {
  const at = args.indexOf("--root");
  const root = at < 0 ? HERE : await Deno.realPath(args[at + 1]!);
  const committed = `${root}/files.json`;
  const scratch = await Deno.makeTempDir({ prefix: "oxydra-tools-" });
  try {
    await installToolchain();
    const built = `${scratch}/files.json`;
    await compile(root, built, scratch);
    if (args.includes("--verify")) return await verify(built, committed);
    await Deno.copyFile(built, committed);
    console.log(`built ${committed}`);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

async function compile(
  root: string,
  out: string,
  scratch: string,
): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new Error(
      "the tool component is built on Linux only: its bytes depend on a preloaded clock",
    );
  }
  const preload = `${scratch}/fixed.so`;
  await runCommand(
    "cc",
    ["-shared", "-fPIC", "-O1", "-o", preload, `${HERE}/build/fixed.c`],
    "a C compiler (cc) is needed",
    {},
  );
  await runScript("compile.ts", [root, out, JSON.stringify(BOUNDS)], {
    LD_PRELOAD: preload,
  });
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
