/** Started by package.ts. Arguments: the package's folder, a folder of WIT files, the folder to write. */
import { toComponent } from "./to_component.ts";

const [root, witPath, out] = Deno.args as [string, string, string];
const manifest = JSON.parse(await Deno.readTextFile(`${root}/manifest.json`));
const world = /\/([\w-]+)@/.exec(manifest.world)?.[1];
if (world === undefined) {
  throw new Error(`manifest.json: world is not like oxydra:tool/NAME@0.1.0`);
}
const component = await toComponent({ root, entry: "main.js", witPath, world });
const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", component))
  .toHex();
await Deno.writeFile(`${out}/${manifest.name}.wasm`, component);
await Deno.writeTextFile(
  `${out}/${manifest.name}.json`,
  `${JSON.stringify({ ...manifest, component: { sha256 } }, null, 2)}\n`,
);
