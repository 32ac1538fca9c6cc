/**
 * A disposable process without permissions: reads the transpiler and one component from stdin, judges the component and writes what is
 * loaded in its place, or the reason against it. No code of the component runs in here, so the verdict is ours.
 */
import "#/lib/stderr_console.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { checkComponent, type Transpiler } from "#/sandbox/component_check.ts";
import { type InspectRequest, type InspectVerdict, packMessage, unpackMessage } from "#/sandbox/component_message.ts";

async function main(): Promise<void> {
  // Ours to believe: this process was started to read it.
  const { head, files } = unpackMessage(await new Response(Deno.stdin.readable).bytes(), (it) => it as InspectRequest);
  const component = files.get("component.wasm")!;
  let reply: Uint8Array<ArrayBuffer>;
  try {
    const made = await checkComponent(component, head, await loadTranspiler(files));
    const hashes = await Promise.all(made.files.map(({ bytes }) => sha256Hex(bytes)));
    const named = made.files.map(({ name, bytes }, at) => ({ name, bytes: bytes.length, sha256: hashes[at]! }));
    const verdict: InspectVerdict = { v: 1, type: "accepted", imports: [...made.imports], files: named };
    reply = packMessage(verdict, made.files);
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
    reply = packMessage({ v: 1, type: "refused", message, files: [] } satisfies InspectVerdict, []);
  }
  for (let at = 0; at < reply.length;) at += Deno.stdout.writeSync(reply.subarray(at));
}

/** bindgen.js takes its modules from where tools-wasm/build/bundle_bindgen.ts makes it look. */
async function loadTranspiler(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<Transpiler> {
  Object.assign(globalThis, { bindgenCores: files });
  const url = URL.createObjectURL(new Blob([files.get("bindgen.js")!], { type: "text/javascript" }));
  const transpiler: Transpiler & { readonly $init: Promise<void> } = await import(url);
  await transpiler.$init;
  return transpiler;
}

await main();
