/**
 * `deno task catalog:snapshot <git checkout of models.dev>`: writes src/provider/catalog_snapshot.json. The same commit gives the same
 * bytes. What a file of providers/ leaves out it takes from the file of models/ that it names as its base.
 */
import { join } from "../tests/fixture/source_tree.ts";
import { parse } from "smol-toml";
import { CatalogModel, type CheckedVendor, toCatalogText } from "#/provider/catalog.ts";

type Table = Record<string, unknown>;

const VENDORS = ["anthropic", "deepseek", "google", "groq", "mistral", "openai", "xai"];
const SOURCE = "https://github.com/anomalyco/models.dev";

const checkout = Deno.args[0];
if (checkout === undefined) throw new Error("which checkout of models.dev?");

const [commit, date] = (await git("log", "-1", "--format=%H %cs")).split(" ");
const license = Deno.readTextFileSync(join(checkout, "LICENSE")).trim();
const vendors = Object.fromEntries(VENDORS.map((id) => [id, readVendor(id)]));
const source = { url: SOURCE, commit, date, license };
const text = `{"source":${JSON.stringify(source)},\n"vendors":${toCatalogText(vendors)}}\n`;
await Deno.writeTextFile(new URL("../src/provider/catalog_snapshot.json", import.meta.url), text);
for (const [id, { models }] of Object.entries(vendors)) console.log(id, Object.keys(models).length);

function readVendor(id: string): CheckedVendor {
  const folder = join(checkout!, "providers", id);
  const models = listToml(join(folder, "models")).flatMap((path) => {
    const key = path.slice(join(folder, "models").length + 1, -".toml".length);
    const { base_model: base, base_model_omit: omit = [], ...own } = readToml(path);
    const inherited = base === undefined ? {} : readToml(join(checkout!, "models", `${base}.toml`));
    const model = merge(inherited, own);
    for (const place of omit as string[]) drop(model, place.split("."));
    // An embedding model answers no message.
    if (/embed/.test(`${model.family} ${key}`)) return [];
    return [[key, CatalogModel.parse({ ...model, id: key })] as const];
  });
  return { id, name: String(readToml(join(folder, "provider.toml")).name), models: Object.fromEntries(models) };
}

function listToml(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return listToml(path);
    return name.endsWith(".toml") ? [path] : [];
  });
}

function readToml(path: string): Table {
  return parse(Deno.readTextFileSync(path)) as Table;
}

function merge(base: Table, over: Table): Table {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTable(value) && isTable(below) ? merge(below, value) : value;
  }
  return merged;
}

function drop(table: Table, [step, ...rest]: string[]): void {
  const below = table[step!];
  if (rest.length === 0) delete table[step!];
  else if (isTable(below)) drop(below, rest);
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function git(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("git", { args: ["-C", checkout!, ...args] }).output();
  if (!success) throw new Error(`${checkout} is no git checkout`);
  return new TextDecoder().decode(stdout).trim();
}
