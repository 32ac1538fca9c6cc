/**
 * Components by hand, for tests. Arguments: a JSON file with `{ name: { wat } }` or `{ name: { core, wit, world } }` in text form; the
 * folder that gets NAME.wasm.
 */
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco-transpile/wasm-tools";

const [file, out] = Deno.args as [string, string];
const sources: Record<
  string,
  { wat?: string; core?: string; wit?: string; world?: string }
> = JSON.parse(
  await Deno.readTextFile(file),
);
for (const [name, { wat, core, wit, world }] of Object.entries(sources)) {
  try {
    const bytes = wat !== undefined ? await parse(wat) : await componentNew(
      await componentEmbed({
        binary: await parse(core!),
        witSource: wit!,
        world: world!,
        stringEncoding: "utf8",
      }),
      [],
    );
    await Deno.writeFile(`${out}/${name}.wasm`, bytes);
  } catch (error) {
    throw new Error(
      `${name}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
