import { AppError, messageOf } from "#/core/error.ts";
import type { Secret } from "#/lib/secret.ts";
import { join } from "#/lib/path.ts";
import type { Protocol } from "#/provider/base_url.ts";
import { editToml, type TableEdit } from "#/config/edit_toml.ts";
import { writePrivateFile } from "#/runner/lock.ts";

/** What a person chose. */
export interface Chosen {
  /** Of the entry in the registry. */
  readonly name: string;
  readonly type: Protocol;
  readonly baseUrl?: string;
  readonly key?: Secret;
  /** The key is in this variable and stays there. */
  readonly keyVariable?: string;
}

/**
 * Writes the entry into `providers.toml` and the selection into `agent.toml`, both in `~/.config/oxydra`, whole or not at all, readable by
 * the person alone; what else stands in them stays. Returns their paths. Throws AppError `config_invalid` with what to write by hand for a
 * file that cannot be edited.
 */
export async function writeSetup(chosen: Chosen & { readonly model: string }, home: string): Promise<string[]> {
  const folder = join(home, ".config", "oxydra");
  const { name, type, baseUrl, key, keyVariable, model } = chosen;
  const files: readonly (readonly [string, TableEdit])[] = [
    ["providers.toml", {
      table: ["providers", "registry", name],
      values: {
        provider_type: type,
        base_url: baseUrl,
        api_key: keyVariable === undefined ? key?.reveal() : undefined,
        api_key_env: keyVariable,
      },
    }],
    ["agent.toml", { table: ["selection"], values: { provider: name, model } }],
  ];
  // Both are made before either is written.
  const edited = files.map(([file, edit]) => {
    const path = toTarget(join(folder, file));
    return [path, toText(path, edit)] as const;
  });
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 }).catch((error) => {
    throw toUnwritable(folder, error);
  });
  for (const [path, text] of edited) writePrivateFile(path, text);
  return edited.map(([path]) => path);
}

/** A link stays one: many keep such files elsewhere. */
function toTarget(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path;
    throw toUnwritable(path, error);
  }
}

function toText(path: string, edit: TableEdit): string {
  try {
    return editToml(read(path), edit);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const lines = editToml("", {
      ...edit,
      values: { ...edit.values, ...(edit.values.api_key ? { api_key: "…" } : {}) },
    });
    throw new AppError("config_invalid", `${path} is not changed: ${error.message}. Write into it:\n${lines}`);
  }
}

function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw new AppError("config_invalid", `it cannot be read (${messageOf(error)})`);
  }
}

function toUnwritable(path: string, cause: unknown): AppError {
  const text = `${path} cannot be written (${messageOf(cause)}). Nothing was changed there`;
  return new AppError("config_invalid", text, { cause });
}
