import { parse } from "smol-toml";
import { AppError, attempt } from "#/core/error.ts";
import { toKeyPath } from "#/config/key_path.ts";
import { locateKeys } from "#/config/toml_lines.ts";
import { isSame, mergeTree, nest, type Tree, valueAt } from "#/config/tree.ts";

/** Keys of one table and what each is to hold; a key that is undefined is taken out. */
export interface TableEdit {
  readonly table: readonly string[];
  readonly values: Readonly<Record<string, string | undefined>>;
}

/**
 * The text with some keys set and everything else as it was, comments included. The result is parsed and compared: when it would say
 * anything but the old text with these keys changed, it is not given. Throws AppError `config_invalid` then, and for a text that is no TOML.
 */
export function editToml(text: string, edit: TableEdit): string {
  const wanted = withEdit(text, edit);
  const edited = write(text, edit);
  if (isSame(parseOr(edited), wanted)) return edited;
  const table = `[${toKeyPath(edit.table)}]`;
  throw new AppError("config_invalid", `its table ${table} is written in a way that only a person should change`);
}

function write(text: string, { table, values }: TableEdit): string {
  const keys = locateKeys(text);
  const lines: (string | undefined)[] = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  const header = keys.get(toKeyPath(table));
  const added: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    const line = keys.get(toKeyPath([...table, key]));
    const written = value === undefined ? undefined : `${toKeyPath([key])} = ${toBasicString(value)}`;
    if (line !== undefined) lines[line - 1] = written;
    else if (written !== undefined) added.push(written);
  }
  if (header !== undefined) lines.splice(header, 0, ...added);
  else lines.push(...(lines.length > 0 ? [""] : []), `[${toKeyPath(table)}]`, ...added);
  return `${lines.filter((line) => line !== undefined).join("\n")}\n`;
}

/** JSON's strings are TOML's, but for one character. */
function toBasicString(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

/** Undefined for what is no TOML: the parser's message goes on with lines of the file, which may hold a key. */
function parseOr(text: string): Tree | undefined {
  return attempt(() => parse(text) as Tree);
}

function withEdit(text: string, { table, values }: TableEdit): Tree {
  const before = parseOr(text);
  if (before === undefined) throw new AppError("config_invalid", "it is no TOML");
  const tree = mergeTree(before, nest({}, table));
  const edited = valueAt(tree, table) as Tree;
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) delete edited[key];
    else edited[key] = value;
  }
  return tree;
}
