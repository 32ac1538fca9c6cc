import { join } from "#/lib/path.ts";
import { AppError, attempt } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { UserFolders } from "#/config/user.ts";
import { LOG_FILES } from "#/runner/log_names.ts";

const PRIVATE = ["root", "ipc", "logs", "internal", "run", "audit"] as const;

type Kind = "file" | "folder" | "socket";

/** What the runner opens by its name, and what must lie there when something does. */
const OPENED: readonly (readonly [folder: keyof UserFolders, name: string, kind: Kind])[] = [
  ["ipc", "gateway-endpoint", "file"],
  ["ipc", "runner-control.sock", "socket"],
  ...LOG_FILES.flatMap(({ name }) => [["logs", name, "file"], ["logs", `${name}.1`, "file"]] as const),
  ["run", "runner.lock", "file"],
  ["run", "guest.lock", "file"],
  ["run", "tokens.json", "file"],
  ["run", "tokens.lock", "file"],
  ["run", "approvals.json", "file"],
  ["run", "approvals.json.new", "file"],
  ["run", "approvals.json.damaged", "file"],
  ["run", "kept", "folder"],
  ["run", "packages", "folder"],
  ["run", "packages.lock", "file"],
  ["run", "kept/index.jsonl", "file"],
];

/**
 * Makes the workspace and the folders in it that are ours alone private (0700), and refuses what a cloned or unpacked folder may have
 * brought along: by a link the runner would write where it leads, and a guest would leave `internal` (Deno's flags follow
 * links; facts/wasm.md §5); a pipe would hold the start for ever. The folders exist and are no links themselves. Another
 * user's folder is refused: its owner can put anything there at any time. Throws AppError `config_invalid` with a line for each.
 */
export function checkOwnFiles(folders: UserFolders): void {
  const open = PRIVATE.map((name) => makePrivate(folders[name])).filter((problem) => problem !== undefined);
  const problems = open.length > 0 ? open : [
    ...OPENED.map(([folder, name, kind]) => checkKind(join(folders[folder], name), kind)),
    ...findForeign(folders.internal),
  ].filter((problem) => problem !== undefined);
  if (problems.length === 0) return;
  throw new AppError("config_invalid", problems.slice(0, LIMITS.configProblemsMax).join("\n"));
}

function makePrivate(path: string): string | undefined {
  const isPrivate = () => ((Deno.statSync(path).mode ?? 0) & 0o077) === 0;
  if (Deno.statSync(path).uid !== Deno.uid()) {
    return `${path} belongs to another user of this machine; choose another workspace_root`;
  }
  if (isPrivate()) return undefined;
  // The look that follows decides.
  attempt(() => Deno.chmodSync(path, 0o700));
  return isPrivate()
    ? undefined
    : `${path} cannot be made private (mode 0700); choose a workspace_root on another disk`;
}

function checkKind(path: string, kind: Kind): string | undefined {
  try {
    const info = Deno.lstatSync(path);
    const is = { file: info.isFile, folder: info.isDirectory, socket: info.isSocket === true };
    if (!is[kind]) return `${path} is ${toWords(info)}, where only a plain ${kind} may be; remove it`;
    // Whoever it belongs to can change it, or holds it, although the folder around it is ours.
    return info.uid === Deno.uid() ? undefined : `${path} belongs to another user of this machine; remove it`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    return `${path} cannot be looked at`;
  }
}

/** What is neither file nor folder, at any depth. By a list of what is still to be seen: a guest may nest folders as deep as it likes. */
function findForeign(folder: string): string[] {
  const problems: string[] = [];
  const open = [folder];
  let seen = 0;
  for (let dir = open.pop(); dir !== undefined; dir = open.pop()) {
    for (const entry of namesOf(dir)) {
      if (++seen > LIMITS.folderEntriesMax) return [`${folder} holds more than ${LIMITS.folderEntriesMax} files`];
      const path = join(dir, entry.name);
      if (entry.isDirectory) open.push(path);
      else if (!entry.isFile) {
        problems.push(`${path} is ${toWords(entry)}; only plain files belong there, so remove it`);
      }
    }
  }
  return problems;
}

/** A folder that a running guest removes meanwhile is empty. */
function namesOf(dir: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(dir)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function toWords(
  entry: { readonly isSymlink: boolean; readonly isDirectory: boolean; readonly isFile: boolean },
): string {
  if (entry.isSymlink) return "a link";
  if (entry.isFile) return "a file";
  return entry.isDirectory ? "a folder" : "a pipe, socket or device";
}
