import { AppError, attempt, toPublicError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import { controlPath, prepareControlDir } from "#/runner/endpoint.ts";
import type {
  ControlReply,
  ControlRequest,
  HealthStatus,
  LogsAnswer,
  LogsRequest,
  StartedWith,
} from "#/runner/control_frames.ts";
import type { Approvals } from "#/sandbox/approvals.ts";

const FRAMES = new URL("./control_frames.ts", import.meta.url).href;

/** What the socket is asked about. */
export interface ControlDeps {
  readonly approvals: () => Promise<Approvals>;
  /** Reads the configuration again, now. Resolves when what it says is in force, or refused. */
  readonly reload: () => Promise<HealthStatus["config"]>;
  /** How this runner is, now. */
  readonly health: () => HealthStatus;
  /** Lines of the logs. Throws AppError `usage` for a `since` that is no time. */
  readonly logs: (request: LogsRequest) => Promise<LogsAnswer>;
  /** Stops the runner, in the background: turns that run have so long to end. Called after the answer is written. */
  readonly stop: (drainMs?: number) => void;
  /** How it was asked to start; absent for one that lives as long as its clients. */
  readonly startedWith?: StartedWith;
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
      // Not a literal import: a start evaluates it for nobody.
      const { ControlRequest }: typeof import("#/runner/control_frames.ts") = await import(FRAMES);
      const parsed = ControlRequest.safeParse(asked);
      const reply = parsed.success
        ? await answer(parsed.data, deps)
        : toErrorReply(new AppError("usage", "this is no request of the control socket"), true);
      await writer.write(encodeLengthJson(reply, LIMITS.approvalsBytesMax));
      if (!parsed.success) return;
      // Not before: a stop closes this socket.
      if (reply.op === "shutdown_status" && parsed.data.op === "shutdown_user") deps.stop(parsed.data.payload.drain_ms);
    }
  } catch {
    // Cut off, too large, or gone: whoever it was, the next connection starts anew.
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function answer(request: ControlRequest, deps: ControlDeps): Promise<ControlReply> {
  const { approvals, health, reload, onTokens, logs, startedWith } = deps;
  try {
    switch (request.op) {
      case "health_check":
        return { op: "health_status", payload: health() };
      case "shutdown_user":
        return toShutdownReply(request.payload.user_id, health());
      case "logs":
        return { op: request.op, payload: await logs(request.payload) };
      case "start_options":
        return { op: request.op, payload: startedWith ?? null };
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
    return toErrorReply(error, request.op === "logs");
  }
}

function toShutdownReply(asked: string, { user_id, shutdown, active_turns }: HealthStatus): ControlReply {
  if (asked !== user_id) {
    return {
      op: "error",
      payload: { code: "unknown_user", message: `this is the runner of ${user_id}, not of ${asked}` },
    };
  }
  const turns = active_turns === 0 ? "no turn is at work" : `turns at work: ${active_turns}`;
  const message = shutdown ? `it is stopping already; ${turns}` : `it stops; ${turns}`;
  return { op: "shutdown_status", payload: { user_id, shutdown: true, already_stopped: shutdown, message } };
}

/** To what the reference asks as well, with one of its three codes: its clients can read no other. */
function toErrorReply(error: unknown, isReference = false): ControlReply {
  const { code, message } = toPublicError(error, crypto.randomUUID());
  if (!isReference) return { op: "error", payload: { code, message } };
  return { op: "error", payload: { code: code === "usage" ? "invalid_request" : "internal", message } };
}

/** It may be closed already. */
function end(connection: Deno.UnixConn): void {
  attempt(() => connection.close());
}

function removeOld(path: string): void {
  try {
    const { isSocket, uid } = Deno.lstatSync(path);
    if (!isSocket) throw new AppError("config_invalid", `${path} is no socket; remove it`);
    if (uid !== Deno.uid()) {
      throw new AppError("config_invalid", `${path} belongs to another user of this machine; remove it`);
    }
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
