import { join } from "#/lib/path.ts";
import { AppError } from "#/core/error.ts";
import { codeOf } from "#/sandbox/file_error.ts";
import { openOs } from "#/sandbox/open_os.ts";
import type { Os } from "#/sandbox/os.ts";
import { openFolder, openRegular, type OpenRoot } from "#/sandbox/walk.ts";

const SECRET = "self test: a tool must never read this";

/** Why nothing can be planted, when that is the trouble. */
const DISK_SAYS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk has no space left",
  EDQUOT: "the disk quota leaves no space",
  EROFS: "the disk is read-only",
};

/**
 * Proves at boot, on this machine and under these permissions, that the file walk follows no link: plants a link to a secret, a
 * linked folder and a swap of folder and link in `runDir` (host path, ours alone), tries them, removes them. Throws AppError
 * `self_test_failed` when one is followed or cannot be tried. One deny flag on this process is enough to fail it: Deno
 * then ignores O_NOFOLLOW or refuses /proc/self/fd.
 */
export function runSelfTest(runDir: string, os?: Os): void {
  const dir = join(runDir, `self-test-${crypto.randomUUID()}`);
  try {
    const opened = os ?? openOs();
    plant(dir);
    using handle = opened.openRoot(join(dir, "root"));
    const root: OpenRoot = { os: opened, handle };
    tryLinks(root);
    trySwap(root, dir);
    tryReplace(root, dir);
  } catch (cause) {
    if (cause instanceof AppError && ["self_test_failed", "platform_unsupported"].includes(cause.code)) throw cause;
    const reason = DISK_SAYS[codeOf(cause)] ?? "the runner must be started with exactly -A";
    const message = `The file walk cannot be proven here, so no tool may run: ${reason}`;
    throw new AppError("self_test_failed", message, { cause });
  } finally {
    remove(dir);
  }
}

function plant(dir: string): void {
  Deno.mkdirSync(join(dir, "root", "folder"), { recursive: true, mode: 0o700 });
  Deno.mkdirSync(join(dir, "outside"));
  Deno.writeTextFileSync(join(dir, "outside", "file"), SECRET);
  Deno.writeTextFileSync(join(dir, "root", "folder", "file"), "inside");
  Deno.symlinkSync("../outside/file", join(dir, "root", "link"));
  Deno.symlinkSync("../outside", join(dir, "root", "linked"));
}

function tryLinks(root: OpenRoot): void {
  mustRefuse("a link", () => openRegular(root, root.handle, { root: "shared", parts: ["link"] }).file);
  mustRefuse("a linked folder", () => openFolder(root, { root: "shared", parts: ["linked"] }));
  // Beneath the walk too: the platform itself has to say no.
  mustRefuse("a link", () => root.os.openFile(root.handle, "link"), ["ELOOP"]);
  mustRefuse("a linked folder", () => root.os.openDir(root.handle, "linked"), ["ENOTDIR", "ELOOP"]);
}

/** Between opening a folder and opening its file the folder becomes a link to the outside. */
function trySwap(root: OpenRoot, dir: string): void {
  using folder = root.os.openDir(root.handle, "folder");
  Deno.renameSync(join(dir, "root", "folder"), join(dir, "root", "moved"));
  Deno.symlinkSync("../outside", join(dir, "root", "folder"));
  using file = root.os.openFile(folder, "file");
  const content = new Uint8Array(SECRET.length);
  const length = root.os.read(file, content, 0);
  if (new TextDecoder().decode(content.subarray(0, length)) !== "inside") throw followed("a swapped folder");
  mustRefuse("a swapped folder", () => openFolder(root, { root: "shared", parts: ["folder"] }));
}

/** A write through the name of a link replaces the link, never what it points to. */
function tryReplace(root: OpenRoot, dir: string): void {
  {
    using temp = root.os.createFile(root.handle, "temp", 0o600);
    root.os.write(temp, new TextEncoder().encode("new"));
  }
  mustRefuse("a link", () => root.os.createFile(root.handle, "link", 0o600), ["EEXIST"]);
  root.os.rename(root.handle, "temp", "link");
  if (Deno.readTextFileSync(join(dir, "outside", "file")) !== SECRET) throw followed("a link");
}

function mustRefuse(what: string, open: () => Disposable, codes: readonly string[] = []): void {
  let opened: Disposable;
  try {
    opened = open();
  } catch (error) {
    if (error instanceof AppError && error.code === "path_outside") return;
    if (codes.includes(codeOf(error))) return;
    throw error;
  }
  opened[Symbol.dispose]();
  throw followed(what);
}

function followed(what: string): AppError {
  return new AppError("self_test_failed", `File access follows ${what} out of its folder here, so no tool may run`);
}

function remove(dir: string): void {
  try {
    Deno.removeSync(dir, { recursive: true });
  } catch {
    // The verdict is what counts; what stays lies in `run/`, where nobody else looks.
  }
}
