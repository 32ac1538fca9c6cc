/** The terminal client in a terminal: the process with its own flags, against a gateway that a test drives, and captures of its screen. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { ClientRequest } from "#/cli/client_request.ts";
import { toEndpoint, writeEndpoint } from "#/runner/endpoint.ts";
import { planTui } from "#/runner/plan_tui.ts";
import { openPty, type Pty } from "../fixture/pty.ts";
import { denoEnv, waitUntil } from "../fixture/system.ts";
import { thisProgram } from "../fixture/workspace.ts";

/** How a client is started. */
export interface TuiOptions {
  readonly port: number;
  readonly token: string;
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly request?: Partial<ClientRequest>;
  readonly controlPath?: string;
}

/** A client in a terminal. */
export interface Tui extends Pty {
  /** Folder of the endpoint file. */
  readonly ipc: string;
}

/** Starts the client of this gateway, for user `ann`, as the launcher would. */
export async function openTui(options: TuiOptions): Promise<Tui> {
  const ipc = await Deno.makeTempDir({ prefix: "oxydra-ipc-" });
  const endpointPath = join(ipc, "gateway-endpoint");
  const controlPath = options.controlPath ?? join(ipc, "runner-control.sock");
  writeEndpoint(ipc, toEndpoint(options.port, options.token));
  const request: ClientRequest = {
    mode: "tui",
    json: false,
    user: "ann",
    endpointPath,
    controlPath,
    ...options.request,
  };
  const lockPath = new URL("../../deno.lock", import.meta.url).pathname;
  const env = { ...denoEnv(), ...options.env };
  const input = { program: thisProgram(), env, port: options.port, endpointPath, controlPath, lockPath };
  const plan = planTui(input, [JSON.stringify(request)]);
  const pty = await openPty({
    command: [plan.command, ...plan.args],
    cwd: ipc,
    env: plan.env,
    columns: options.columns ?? 80,
    rows: options.rows ?? 24,
  });
  return { ...pty, ipc };
}

const FOLDER = new URL("./snapshots/", import.meta.url);

/**
 * Waits until the terminal shows the capture of this name, and fails with the difference when it does not; UPDATE_SNAPSHOTS=1 writes it.
 * Times are shown as 0, ids of errors as ….
 */
export async function assertScreen(pty: Captured, name: string, columns: number): Promise<void> {
  const path = new URL(`${name}_${columns}.txt`, FOLDER);
  const take = () => toCapture(pty, columns);
  if (Deno.env.get("UPDATE_SNAPSHOTS") === "1") {
    await new Promise((resolve) => setTimeout(resolve, 500));
    await Deno.writeTextFile(path, take());
  }
  const wanted = await Deno.readTextFile(path);
  await waitUntil(() => take() === wanted, name, 10_000).catch(() =>
    assert.equal(take(), wanted, `${name}_${columns}`)
  );
}

type Captured = Pick<Pty, "all" | "cursor">;

function toCapture(pty: Captured, columns: number): string {
  const lines = pty.all().map((line) =>
    line.replace(/\b\d+ (ms|s|min)\b/g, (time) => time.replace(/^\d+/, (digits) => "0".padStart(digits.length)))
      .replace(/\( +0 ms\)$/, "(0 ms)").replace(/^── .*/, toBar).replace(/\([0-9a-f-]{36}\)/, "(…)").replace(
        /(no gateway; ).*/,
        "$1…",
      ).trimEnd()
  );
  while (lines.at(-1) === "") lines.pop();
  const { x, y } = pty.cursor();
  return `${lines.join("\n")}\n[cursor: column ${x}, row ${y}; ${columns} columns]\n`;
}

// deno-lint-ignore no-control-regex -- what a terminal is told
const COLOUR = /\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;\d+)*m/;

/** True when a colour was set. */
export function isColoured(bytes: string): boolean {
  return COLOUR.test(bytes);
}

/** The bar above the input, however many digits its time has. */
function toBar(line: string): string {
  return line.replace(/· +0 (s|min)/g, "· 0 $1").replace(/─+$/, "─");
}
