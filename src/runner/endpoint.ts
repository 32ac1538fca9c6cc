import { AppError, attempt } from "#/core/error.ts";
import { dirname, join } from "#/lib/path.ts";
import { writePrivateFile } from "#/runner/lock.ts";

/** Longest path of a Unix socket that every system here takes: `sun_path` has 104 (macOS) or 108 bytes with its NUL (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 100;

/** Longest path of the folder of tunnels: sockets in it are `<tunnel>/proxy.sock`, and the browser's are longer. */
const NET_DIR_BYTES_MAX = 80;

/** Where a live gateway is. */
export interface Endpoint {
  readonly port: number;
  /** `ws://127.0.0.1:PORT/ws?token=…`, as clients of the reference read it. */
  readonly url: string;
}

/** The endpoint file of a user; `ipc/` is no tool root and no guest flag names it. */
export function endpointPath(ipcDir: string): string {
  return join(ipcDir, "gateway-endpoint");
}

/**
 * Where the control socket of a workspace is: `ipc/runner-control.sock`. Where that is longer than a socket's path may be, a name made of the
 * folder's device and inode in `<tmpDir>/oxydra-<uid>`, which is found again whatever the environment says. Throws AppError `config_invalid` when
 * something that is not ours alone has that folder's place: whoever owns it could pass for the runner.
 */
export function controlPath(ipcDir: string, tmpDir: string = "/tmp"): string {
  const path = join(ipcDir, "runner-control.sock");
  if (new TextEncoder().encode(path).length <= SOCKET_PATH_BYTES_MAX) return path;
  const ipc = lookAt(ipcDir);
  // Nobody listens for a folder that is not there.
  if (ipc === undefined) return path;
  return `${shortDir(tmpDir)}/${ipc.dev}-${ipc.ino}.sock`;
}

/**
 * Where the sockets of ways out are: `<runDir>/<name>`, or where that is too long a folder beside the control sockets of deep workspaces, made
 * here. `runDir` exists. Throws as `controlPath`.
 */
export function prepareNetDir(runDir: string, name: "net" | "bnet", tmpDir: string = "/tmp"): string {
  const dir = join(runDir, name);
  if (new TextEncoder().encode(dir).length <= NET_DIR_BYTES_MAX) return dir;
  const { dev, ino } = Deno.lstatSync(runDir);
  const short = shortDir(tmpDir);
  Deno.mkdirSync(short, { recursive: true, mode: 0o700 });
  // Somebody may have been faster.
  return `${shortDir(tmpDir)}/${dev}-${ino}.${name}`;
}

/** A folder whose path is short, of ours alone if it is there. Throws AppError `config_invalid` when it is somebody else's. */
function shortDir(tmpDir: string): string {
  const dir = join(tmpDir, `oxydra-${Deno.uid()}`);
  const info = lookAt(dir);
  if (info !== undefined && !(info.isDirectory && info.uid === Deno.uid() && ((info.mode ?? 0) & 0o077) === 0)) {
    throw new AppError("config_invalid", `${dir} must be a folder that is yours alone (mode 0700); remove it`);
  }
  return dir;
}

/** Makes the folder of a control socket, for who is about to listen there. Throws as `controlPath`. */
export function prepareControlDir(ipcDir: string): void {
  const dir = dirname(controlPath(ipcDir));
  if (dir === ipcDir) return;
  Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Somebody may have been faster.
  controlPath(ipcDir);
}

function lookAt(path: string): Deno.FileInfo | undefined {
  return attempt(() => Deno.lstatSync(path));
}

/** Where a gateway at this port is. Pure. */
export function toEndpoint(port: number, token: string): Endpoint {
  return { port, url: `ws://127.0.0.1:${port}/ws?token=${token}` };
}

/** Writes the endpoint file, mode 0600 (SPEC §7). */
export function writeEndpoint(ipcDir: string, { url }: Endpoint): void {
  writePrivateFile(endpointPath(ipcDir), url + "\n");
}

/** The endpoint file of a runner: it is there while its gateway is up and its control socket listens, so that whoever finds the one finds both. */
export class EndpointFile {
  readonly #ipcDir: string;
  #last: Endpoint | undefined;
  #isUp = false;
  #isHeard = false;

  /** One that a runner before this one left behind is removed: it must not be taken for ours. */
  constructor(ipcDir: string) {
    this.#ipcDir = ipcDir;
    this.remove();
  }

  /** Of the last gateway that was up. */
  get endpoint(): Endpoint | undefined {
    return this.#last;
  }

  readonly onUp = (port: number, token: string): void => {
    [this.#last, this.#isUp] = [toEndpoint(port, token), true];
    this.#write();
  };

  readonly onDown = (): void => {
    this.#isUp = false;
    this.remove();
  };

  /** The control socket listens. */
  heard(): void {
    this.#isHeard = true;
    this.#write();
  }

  readonly remove = (): void => removeEndpoint(this.#ipcDir);

  #write(): void {
    if (this.#isUp && this.#isHeard) writeEndpoint(this.#ipcDir, this.#last!);
  }
}

/** The endpoint as the file says, or null when there is none or it is not one. */
export function readEndpoint(ipcDir: string): Endpoint | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(endpointPath(ipcDir)).trim();
  } catch {
    return null;
  }
  const match = /^ws:\/\/127\.0\.0\.1:(\d{1,5})\/ws\?token=[\w-]+$/.exec(text);
  return match === null ? null : { port: Number(match[1]), url: text };
}

/** Removes the endpoint file; nothing happens when it is gone. */
export function removeEndpoint(ipcDir: string): void {
  try {
    Deno.removeSync(endpointPath(ipcDir));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
