import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { SessionsAsk } from "#/cli/client_request.ts";
import { EXIT } from "#/cli/exit_code.ts";
import { launchClient } from "#/cli/launch.ts";
import type { SessionsOptions } from "#/cli/main.ts";

/**
 * Asks the gateway about sessions: the one that runs, or one that this process starts for it. Returns the client's exit code. Throws AppError
 * `usage`, and as `launchClient`.
 */
export async function runSessions(
  what: SessionsAsk["do"],
  words: readonly string[],
  options: SessionsOptions,
  version: string,
): Promise<number> {
  const ask = toAsk(what, words, options);
  if (what === "export" && options.output !== undefined) return await exportTo(options.output, ask, options, version);
  const [path] = words;
  const io = what === "import" && path !== "-" ? { input: () => openFile(path!).readable } : {};
  if (io.input !== undefined) await io.input().cancel();
  return await launchClient("sessions", undefined, options, version, { ask, io });
}

/** What a command line asks. Throws AppError `usage`. */
export function toAsk(
  what: SessionsAsk["do"],
  [id = "", name = ""]: readonly string[],
  options: SessionsOptions,
): SessionsAsk {
  switch (what) {
    case "list":
      return { do: what, archived: options.archived ?? false };
    case "import":
      return { do: what };
    case "rename":
      return { do: what, id, name: toName(name) };
    case "delete":
      return { do: what, id, yes: options.yes ?? false };
    case "branch": {
      const { at, name } = options;
      if (at !== undefined && !/^[1-9]\d{0,14}$/.test(at)) {
        throw new AppError("usage", "--at: the place of an event, as 12; oxydra sessions show says how many there are");
      }
      return { do: what, id, ...(at === undefined ? {} : { at: Number(at) }), ...(name === undefined ? {} : { name }) };
    }
    default:
      return { do: what, id };
  }
}

/** An empty name takes the name away. */
function toName(name: string): string | null {
  if (name.length > LIMITS.sessionNameCharsMax) {
    throw new AppError("usage", `a session's name has at most ${LIMITS.sessionNameCharsMax} characters`);
  }
  return name.trim() === "" ? null : name;
}

function openFile(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true });
  } catch (cause) {
    throw new AppError("usage", `${path} cannot be read`, { cause });
  }
}

/** The client's answer as a new file of the person's; half a file does not stay. */
async function exportTo(path: string, ask: SessionsAsk, options: SessionsOptions, version: string): Promise<number> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  } catch (cause) {
    const isThere = cause instanceof Deno.errors.AlreadyExists;
    throw new AppError("usage", `${path} ${isThere ? "is there already" : "cannot be written"}`, { cause });
  }
  let code: number = EXIT.internal;
  try {
    const output = async (from: ReadableStream<Uint8Array>) => {
      for await (const chunk of from) for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
    };
    code = await launchClient("sessions", undefined, options, version, { ask, io: { output } });
  } finally {
    file.close();
    if (code !== EXIT.done) await Deno.remove(path);
  }
  return code;
}
