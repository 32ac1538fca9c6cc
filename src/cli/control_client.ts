import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError, attempt, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import type {
  ControlReply,
  ControlRequest,
  HealthStatus,
  ShutdownStatus,
  StartedWith,
} from "#/runner/control_frames.ts";

/** The reference's codes for what it knows; ours are in `ErrorCode`. */
const REFERENCE_CODES: Readonly<Record<string, ErrorCode>> = { invalid_request: "usage", unknown_user: "usage" };

/** Cards that wait at the runner of this socket. Throws AppError `gateway_unreachable` when nobody listens there. */
export async function readApprovals(path: string): Promise<readonly ApprovalCard[]> {
  const reply = await ask(path, { op: "approvals" });
  return reply.op === "approvals" ? reply.payload as readonly ApprovalCard[] : [];
}

/** Answers one as the owner. Throws what the runner says: AppError `approval_unknown`, `usage`; `gateway_unreachable`. */
export async function answerApproval(path: string, given: GivenAnswer): Promise<void> {
  await ask(path, { op: "answer_approval", payload: given });
}

/** Says that the file of the tokens has changed; resolves when the runner has passed that on. Throws what the runner says; `gateway_unreachable`. */
export async function tellTokens(path: string): Promise<true> {
  await ask(path, { op: "tokens" });
  return true;
}

/** How the runner of this socket is. Throws AppError `gateway_unreachable` when nobody listens there, or nobody answers. */
export async function readHealth(path: string, timeoutMs: number = LIMITS.controlWaitMs): Promise<HealthStatus> {
  const reply = await ask(path, { op: "health_check" }, timeoutMs);
  if (reply.op === "health_status") return reply.payload;
  throw new AppError("gateway_unreachable", "what listens at the control socket is no runner of this version");
}

/** Has the runner of this socket read its configuration again. Throws AppError `gateway_unreachable` as `readHealth`. */
export async function reloadConfig(path: string): Promise<HealthStatus["config"]> {
  // Before it answers, turns end and another guest starts, or the old one again.
  const timeoutMs = LIMITS.controlWaitMs + 2 * (LIMITS.drainMs + LIMITS.guestStartMs);
  const reply = await ask(path, { op: "reload" }, timeoutMs);
  if (reply.op === "reload") return reply.payload;
  throw new AppError("gateway_unreachable", "what listens at the control socket is no runner of this version");
}

/**
 * Has the runner of this socket stop; turns that run have so long, or what the runner gives them. Resolves when the stop begins. Throws AppError
 * `usage` when it is another user's, `gateway_unreachable` as `readHealth`.
 */
export async function stopUser(path: string, user: string, drainMs?: number): Promise<ShutdownStatus> {
  const payload = { user_id: user, ...(drainMs === undefined ? {} : { drain_ms: drainMs }) };
  const reply = await ask(path, { op: "shutdown_user", payload });
  if (reply.op === "shutdown_status") return reply.payload;
  throw new AppError("gateway_unreachable", "what listens at the control socket is no runner of this version");
}

/** How the runner of this socket was asked to start, or null for one that lives as long as its clients. Throws as `readHealth`. */
export async function readStartedWith(path: string): Promise<StartedWith | null> {
  const reply = await ask(path, { op: "start_options" });
  return reply.op === "start_options" ? reply.payload : null;
}

/** What a runner answered, or undefined when none could be reached. Throws what else the question throws. */
export async function ifReached<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof AppError && error.code === "gateway_unreachable") return undefined;
    throw error;
  }
}

async function ask(
  path: string,
  request: ControlRequest,
  timeoutMs: number = LIMITS.controlWaitMs,
): Promise<ControlReply> {
  const bytes = encodeLengthJson(request, LIMITS.controlBytesMax);
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    throw new AppError("gateway_unreachable", "no runner listens at the control socket of this workspace", { cause });
  }
  const silent = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    silent.reject(new AppError("gateway_unreachable", `the runner did not answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    const reply = await Promise.race([exchange(connection, bytes), silent.promise]);
    if (reply.op === "error") {
      const { code, message } = reply.payload;
      throw new AppError(REFERENCE_CODES[code] ?? code as ErrorCode, message);
    }
    return reply;
  } finally {
    clearTimeout(timer);
    // Its stream may have ended, and closed it.
    attempt(() => connection.close());
  }
}

/** A runner that ends in the middle of it is one that cannot be reached. */
async function exchange(connection: Deno.UnixConn, bytes: Uint8Array): Promise<ControlReply> {
  let cause: unknown;
  try {
    await connection.writable.getWriter().write(bytes);
    const answer = await readLengthJson(new ByteReader(connection.readable), LIMITS.approvalsBytesMax);
    // The runner is trusted more than this process, which has no packages and so no parser of schemas.
    if (answer !== undefined) return answer as ControlReply;
  } catch (error) {
    cause = error;
  }
  throw new AppError("gateway_unreachable", "the runner closed its control socket", { cause });
}
