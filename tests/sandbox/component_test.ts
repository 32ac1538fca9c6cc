import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { ComponentArtefact, openComponent } from "#/sandbox/component.ts";
import { readArtefact } from "./child_kit.ts";

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return (await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes()).toBase64();
}

Deno.test("openComponent() unpacks the committed artefact", async () => {
  const component = await openComponent(readArtefact());
  assert.equal(component.package, "files");
  assert.deepEqual(component.interfaces, ["fs-read", "fs-write"]);
  assert.match(component.sha256, /^[0-9a-f]{64}$/);
  assert.equal(component.files.filter((file) => file.name.endsWith(".js")).length, 1);
  for (const { name, bytes } of component.files) {
    if (name.endsWith(".wasm")) assert.ok(WebAssembly.validate(bytes), name);
    else assert.ok(!new TextDecoder().decode(bytes).includes("JCO_DEBUG"));
  }
});

Deno.test("the committed core modules have no memory that grows beyond componentPagesMax", async () => {
  const component = await openComponent(readArtefact());
  let memories = 0;
  for (const { name, bytes } of component.files.filter((file) => file.name.endsWith(".wasm"))) {
    const own = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).filter((one) => one.kind === "memory");
    if (own.length === 0 || WebAssembly.Module.imports(new WebAssembly.Module(bytes)).length > 0) continue;
    const exported = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    for (const one of own) {
      const memory = exported[one.name] as WebAssembly.Memory;
      const pages = memory.buffer.byteLength / 65_536;
      assert.throws(() => memory.grow(LIMITS.componentPagesMax - pages + 1), RangeError, name);
      memories++;
    }
  }
  assert.ok(memories > 0, "no memory was looked at");
});

Deno.test("openComponent() refuses a file that is not what its hash says", async () => {
  const artefact = readArtefact();
  const glue = artefact.files.find((file) => file.name.endsWith(".js"))!;
  glue.gz = await gzip(new TextEncoder().encode("export function instantiate() {}"));
  await assert.rejects(openComponent(artefact), {
    code: "component_invalid",
    message: /tool\.js does not match its sha256/,
  });
});

Deno.test("openComponent() stops unpacking at its limit", async () => {
  const artefact = readArtefact();
  artefact.files[0]!.gz = await gzip(new Uint8Array(LIMITS.componentFileBytesMax + 1));
  await assert.rejects(openComponent(artefact), { code: "component_invalid", message: /larger than/ });
});

Deno.test("openComponent() refuses every malformed artefact with its place", async () => {
  const wrong: [change: (artefact: ReturnType<typeof readArtefact>) => void, message: RegExp][] = [
    [(it) => it.files[0]!.name = "../evil.js", /malformed at files\.0\.name/],
    [(it) => it.files[1]!.name = it.files[0]!.name, /names a file twice/],
    [(it) => it.files[0]!.gz = "AAAA", /cannot be unpacked/],
    [(it) => it.files[0]!.gz = "no base64!", /cannot be unpacked/],
    [(it) => it.files = [], /malformed at files/],
    [(it) => it.imports = ["wasi:filesystem/types"], /imports wasi:filesystem\/types, which no child offers/],
    [(it) => it.extra = 1, /malformed at its root/],
  ];
  for (const [change, message] of wrong) {
    const artefact = readArtefact();
    change(artefact);
    await assert.rejects(openComponent(artefact), { code: "component_invalid", message });
  }
  await assert.rejects(openComponent(null), { code: "component_invalid" });
});

Deno.test("ComponentArtefact parses the committed file unchanged", () => {
  assert.deepEqual(ComponentArtefact.parse(readArtefact()), readArtefact());
});
