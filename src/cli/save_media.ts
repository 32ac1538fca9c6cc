import { AppError, messageOf } from "#/core/error.ts";
import { toOneLine } from "#/lib/printable.ts";
import { sha256Hex } from "#/lib/sha256.ts";

const TEXT_CHARS = 300;

/** The folder of `--save-media`, absolute and there. Throws AppError `usage` when it cannot be. */
export function prepareMediaFolder(dir: string): string {
  try {
    Deno.mkdirSync(dir, { recursive: true });
    return Deno.realPathSync(dir);
  } catch (cause) {
    throw new AppError("usage", `--save-media: ${dir} is no folder and cannot be made one`, { cause });
  }
}

/**
 * Writes one thing that the model made into `dir` and says where. It came through the gateway, so that its content names it, and what is
 * there already stays as it is. Never throws: the turn goes on.
 */
export async function saveMedia(
  { data, file_name }: { readonly data?: unknown; readonly file_name?: unknown },
  dir: string,
): Promise<string> {
  try {
    const content = Uint8Array.fromBase64(String(data));
    const extension = /\.[a-z0-9]{1,8}$/.exec(String(file_name))?.[0] ?? ".bin";
    const path = `${dir}/${(await sha256Hex(content)).slice(0, 12)}${extension}`;
    await Deno.writeFile(path, content, { createNew: true }).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    return `saved as ${toOneLine(path, TEXT_CHARS)}`;
  } catch (error) {
    return `could not be saved: ${toOneLine(messageOf(error), TEXT_CHARS)}`;
  }
}
