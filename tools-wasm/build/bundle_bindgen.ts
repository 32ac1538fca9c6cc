/**
 * Writes bindgen.json: jco's transpiler as two modules of WebAssembly and one of JavaScript that needs nothing around it, so that a
 * process without permissions can run it. Started by bindgen.ts. Argument: the file to write.
 */
import { build } from "esbuild";
import { pack, type PackedFile } from "./artefact.ts";

const PACKAGE = "@bytecodealliance/jco-transpile";
const [out] = Deno.args as [string];
const home = new URL(`../node_modules/${PACKAGE}/`, import.meta.url);
const { version, license } = JSON.parse(
  await Deno.readTextFile(new URL("package.json", home)),
);
const vendor = new URL("vendor/", home);

const files: PackedFile[] = [{
  name: "bindgen.js",
  ...await pack(await bundle()),
}];
for (
  const name of [
    "js-component-bindgen-component.core.wasm",
    "js-component-bindgen-component.core2.wasm",
  ]
) {
  files.push({
    name,
    ...await pack(await Deno.readFile(new URL(name, vendor))),
  });
}
await Deno.writeTextFile(
  out,
  `${JSON.stringify({ package: PACKAGE, version, license, files }, null, 1)}\n`,
);

async function bundle(): Promise<Uint8Array<ArrayBuffer>> {
  const bundled = await build({
    stdin: {
      contents: `export { $init, generate } from "./js-component-bindgen-component.js";`,
      resolveDir: vendor.pathname,
    },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2023",
    platform: "browser",
    conditions: ["browser"],
    minify: true,
    charset: "utf8",
    logLevel: "silent",
    plugins: [{
      name: "no-loader",
      setup: (it) => void it.onLoad({ filter: /bindgen-component\.js$/ }, withoutLoader),
    }],
  });
  return new Uint8Array(bundled.outputFiles[0]!.contents);
}

/** Its loader asks the disk or the network; here whoever imports it has put the modules into `globalThis.bindgenCores`. */
async function withoutLoader(
  { path }: { path: string },
): Promise<{ contents: string; loader: "js" }> {
  const source = await Deno.readTextFile(path);
  const start = source.indexOf("async function fetchCompile (url) {");
  const end = source.indexOf("\n}\n", start) + 3;
  if (start < 0 || end < start) {
    throw new Error(`${PACKAGE} loads its modules in a new way`);
  }
  const loader = "const fetchCompile = (url) => WebAssembly.compile(globalThis.bindgenCores.get(url));\n";
  const contents = (source.slice(0, start) + loader + source.slice(end))
    .replaceAll(/new URL\('\.\/([\w.-]+)', import\.meta\.url\)/g, "'$1'")
    .replaceAll("globalThis?.process?.env?.JCO_DEBUG", "false");
  if (/JCO_DEBUG|import\.meta|import\(/.test(contents)) {
    throw new Error(`${PACKAGE} reaches out in a new way`);
  }
  return { contents, loader: "js" };
}
