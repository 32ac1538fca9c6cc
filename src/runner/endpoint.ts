import { AppError } from "#/core/error.ts";
import { join } from "#/lib/path.ts";
import { writePrivateFile } from "#/runner/lock.ts";

/** Longest path of a Unix socket that every system here takes: `sun_path` has 104 (macOS) or 108 bytes with its NUL (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 100;

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

/** Where the socket of a workspace is: `ipc/runner-control.sock`. Throws AppError `config_invalid` for a path that no socket can have. */
export function controlPath(ipcDir: string): string {
  const path = join(ipcDir, "runner-control.sock");
  if (new TextEncoder().encode(path).length <= SOCKET_PATH_BYTES_MAX) return path;
  throw new AppError(
    "config_invalid",
    `${path} is longer than the ${SOCKET_PATH_BYTES_MAX} bytes that a socket's path may have; choose a shorter workspace_root`,
  );
}

/** Writes the endpoint file, mode 0600 (SPEC §7). */
export function writeEndpoint(ipcDir: string, port: number, token: string): Endpoint {
  const url = `ws://127.0.0.1:${port}/ws?token=${token}`;
  writePrivateFile(endpointPath(ipcDir), url + "\n");
  return { port, url };
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
