/** Packages made by hand: small components in text form, their manifests, and what an install stands on. */
import { join } from "node:path";
import { sha256Hex } from "#/lib/sha256.ts";
import { planInspect } from "#/sandbox/child_plan.ts";
import type { Trusts } from "#/sandbox/component_cache.ts";
import type { ForeignPackage, InstallDeps } from "#/sandbox/component_install.ts";
import { loadBindgen } from "#/runner/package_admin.ts";
import { installToolchain, runScript } from "../../tools-wasm/build/toolchain.ts";
import { planRealChild, SETPRIV } from "./child_kit.ts";

const WIT = Deno.readTextFileSync(new URL("../../tools-wasm/wit/tool.wit", import.meta.url)) + `
world reader {
  use types.{failure};
  import fs-read;
  import fs-write;
  export describe: func() -> string;
  export execute: func(tool: string, args: string) -> result<string, failure>;
}
`;

/** A component as text: whole, or the core module of the world above. */
export type Source = { readonly wat: string } | { readonly core: string };

/** Turns text into components, by name. The tool chain is installed when it is missing. */
export async function assemble<Name extends string>(
  sources: Readonly<Record<Name, Source>>,
): Promise<Record<Name, Uint8Array<ArrayBuffer>>> {
  await installToolchain();
  const dir = await Deno.makeTempDir({ prefix: "oxydra-assemble-" });
  try {
    const full = Object.entries<Source>(sources).map(([name, source]) => [
      name,
      "wat" in source ? source : { ...source, wit: WIT, world: "reader" },
    ]);
    await Deno.writeTextFile(join(dir, "sources.json"), JSON.stringify(Object.fromEntries(full)));
    await runScript("assemble.ts", [join(dir, "sources.json"), dir]);
    const names = Object.keys(sources) as Name[];
    return Object.fromEntries(names.map((name) => [name, Deno.readFileSync(join(dir, `${name}.wasm`))])) as Record<
      Name,
      Uint8Array<ArrayBuffer>
    >;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What the hand-made component says of itself, unless a test changes it. */
export const DESCRIBED = { name: "probe", version: "1.0.0", tools: ["probe"] };

/**
 * The core module of a component with one tool, `probe`. `execute` is the body of its function: it returns the address of a
 * result; `$ok` makes one of an address and a length, `$read` asks the host for /shared/a.txt and says whether that worked.
 */
export function coreOf(parts: {
  readonly execute?: string;
  readonly describe?: unknown;
  readonly fields?: string;
  readonly imports?: string;
  readonly memory?: string;
} = {}): string {
  const said = JSON.stringify(parts.describe ?? DESCRIBED);
  return `(module
    ${parts.imports ?? ""}
    (memory (export "memory") ${parts.memory ?? "2"})
    (global $next (mut i32) (i32.const 8192))
    (data (i32.const 1024) ${JSON.stringify(said)})
    (data (i32.const 256) "done")
    (data (i32.const 272) "/shared/a.txt")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (block $room (loop $grow
        (br_if $room (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
        (unreachable)))
      (local.get $at))
    (func $ok (param $at i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 64) (i32.const 0))
      (i32.store (i32.const 68) (local.get $at))
      (i32.store (i32.const 72) (local.get $length))
      (i32.const 64))
    (func (export "describe") (result i32)
      (i32.store (i32.const 8) (i32.const 1024))
      (i32.store (i32.const 12) (i32.const ${new TextEncoder().encode(said).length}))
      (i32.const 8))
    (func (export "execute") (param i32 i32 i32 i32) (result i32)
      ${parts.execute ?? DONE})
    ${parts.fields ?? ""})`;
}

/** Says "done". */
export const DONE = "(call $ok (i32.const 256) (i32.const 4))";

/** For `coreOf`: asks the host for /shared/a.txt; true when it was answered. An answer is forgotten, so that memory does not grow. */
export const READ = {
  imports: `(import "oxydra:tool/fs-read@0.1.0" "read-text" (func $ask (param i32 i32 i32)))`,
  fields: `(func $read (result i32)
      (local $kept i32)
      (local.set $kept (global.get $next))
      (call $ask (i32.const 272) (i32.const 13) (i32.const 128))
      (global.set $next (local.get $kept))
      (i32.eqz (i32.load8_u (i32.const 128))))`,
} as const;

/** A component of two functions without parameters that does nothing but have these parts. */
export function plainWat(parts: string, core = `(core module $m (func (export "f")))`): string {
  return `(component
    ${parts}
    ${core}
    (core instance $i (instantiate $m))
    (func (export "describe") (canon lift (core func $i "f")))
    (func (export "execute") (canon lift (core func $i "f"))))`;
}

/** A manifest with one tool that reads the file that its argument names. */
export async function toManifest(component: Uint8Array<ArrayBuffer>, changes: Record<string, unknown> = {}) {
  return {
    name: DESCRIBED.name,
    version: DESCRIBED.version,
    world: "oxydra:tool/reader@0.1.0",
    imports: ["oxydra:tool/fs-read"],
    component: { sha256: await sha256Hex(component) },
    tools: [{
      name: "probe",
      description: "Probes.",
      args: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
      effect: "read_only",
      timeoutMs: 2_000,
      needs: [{ kind: "fs.read", path: "$path", scope: "file", bytesMax: 1_024 }],
    }],
    ...changes,
  };
}

/** Component and manifest. */
export async function toPackage(
  component: Uint8Array<ArrayBuffer>,
  changes: Record<string, unknown> = {},
): Promise<ForeignPackage> {
  return { manifest: JSON.stringify(await toManifest(component, changes)), component };
}

/** What an install stands on, with a cache of its own; `processes` are those that it started and that still live. */
export async function makeInstall(
  changes: Partial<InstallDeps> = {},
): Promise<InstallDeps & AsyncDisposable & { processes(): string[] }> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "oxydra-packages-" }));
  // Behind the entry: an argument that no program of ours reads, and that tells our processes from those of other tests.
  const mark = `--mark=${crypto.randomUUID()}`;
  const child = planRealChild();
  const inspect = planInspect({
    denoPath: Deno.execPath(),
    entryUrl: new URL("../../src/sandbox/component_inspect.ts", import.meta.url).href,
    source: "file",
    ...(SETPRIV === undefined ? {} : { pdeathsig: SETPRIV }),
    env: Deno.env.toObject(),
  });
  return {
    dir,
    taken: { tools: new Set(["file_read"]), packages: new Set(["files"]) },
    trusts: () => true,
    inspectPlan: { ...inspect, args: [...inspect.args, mark] },
    childPlan: { ...child, args: [...child.args, mark] },
    loadBindgen,
    ...changes,
    processes: () => processesWith(mark),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/** Trusts nothing that was there before. */
export const TRUSTS_NOTHING: Trusts = () => false;

function processesWith(mark: string): string[] {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`);
    } catch {
      return "";
    }
  }).filter((line) => line.includes(mark));
}
