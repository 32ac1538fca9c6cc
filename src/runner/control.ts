import { AppError, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { controlPath, prepareControlDir } from "#/runner/endpoint.ts";
import { type ControlReply, ControlRequest, type HealthStatus } from "#/runner/control_frames.ts";
import type { Approvals } from "#/sandbox/approvals.ts";

/** What the socket is asked about. */
export interface ControlDeps {
  readonly approvals: () => Promise<Approvals>;
  /** Reads the configuration again, now. Resolves when what it says is in force, or refused. */
  readonly reload: () => Promise<HealthStatus["config"]>;
  /** How this runner is, now. */
  readonly health: () => HealthStatus;
  /** Reads the tokens anew and tells the gateway. Throws AppError. */
  readonly onTokens?: () => Promise<void>;
}

/** The open control socket of a runner. */
export interface Control {
  /** Where it listens; the folder is ours alone (0700), the socket is 0600. */
  readonly path: string;
  /** Ends every connection and removes the socket. */
  close(): void;
}

/**
 * Listens for the owner: terminals of this machine that show the runner's own cards and answer them. No guest and no tool has a flag for
 * this path. Throws AppError `config_invalid` for something in its place that is no socket.
 */
export function openControl(ipcDir: string, deps: ControlDeps): Control {
  prepareControlDir(ipcDir);
  const path = controlPath(ipcDir);
  removeOld(path);
  const listener = Deno.listen({ transport: "unix", path });
  // Nobody else can come between: the folder is ours alone.
  Deno.chmodSync(path, 0o600);
  const open = new Set<Deno.UnixConn>();
  void accept(listener, open, deps);
  return {
    path,
    close() {
      listener.close();
      for (const connection of open) end(connection);
      removeOld(path);
    },
  };
}

async function accept(listener: Deno.UnixListener, open: Set<Deno.UnixConn>, deps: ControlDeps): Promise<void> {
  try {
    for await (const connection of listener) {
      if (open.size >= LIMITS.controlClientsMax) {
        end(connection);
        continue;
      }
      open.add(connection);
      void serve(connection, deps).finally(() => {
        open.delete(connection);
        end(connection);
      });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
  }
}

/** Requests of one connection, one after another; the first that is none of ours ends it. */
async function serve(connection: Deno.UnixConn, deps: ControlDeps): Promise<void> {
  const reader = new ByteReader(connection.readable);
  const writer = connection.writable.getWriter();
  try {
    for (;;) {
      const asked = await readLengthJson(reader, LIMITS.controlBytesMax);
      if (asked === undefined) return;
      const parsed = ControlRequest.safeParse(asked);
      const reply = parsed.success
        ? await answer(parsed.data, deps)
        : toErrorReply(new AppError("protocol", "this is no request of the control socket"));
      await writer.write(encodeLengthJson(reply, LIMITS.approvalsBytesMax));
      if (!parsed.success) return;
    }
  } catch {
    // Cut off, too large, or gone: whoever it was, the next connection starts anew.
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function answer(
  request: ControlRequest,
  { approvals, health, reload, onTokens }: ControlDeps,
): Promise<ControlReply> {
  try {
    switch (request.op) {
      case "health_check":
        return { op: "health_status", payload: health() };
      case "approvals":
        return { op: request.op, payload: [...(await approvals()).pending] };
      case "tokens":
        await onTokens?.();
        return { op: request.op };
      case "reload":
        return { op: request.op, payload: await reload() };
      case "answer_approval":
        (await approvals()).answer(request.payload, "owner");
        return { op: request.op };
    }
  } catch (error) {
    return toErrorReply(error);
  }
}

function toErrorReply(error: unknown): ControlReply {
  return { op: "error", payload: toPublicError(error, crypto.randomUUID()) };
}

function end(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

function removeOld(path: string): void {
  try {
    if (!Deno.lstatSync(path).isSocket) {
      throw new AppError("config_invalid", `${path} is no socket; remove it`);
    }
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
