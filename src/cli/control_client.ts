import type { ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { AppError, type ErrorCode } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { ByteReader } from "#/lib/byte_reader.ts";
import { encodeLengthJson, readLengthJson } from "#/lib/length_json.ts";
import type { ControlReply, ControlRequest } from "#/runner/control_frames.ts";

/** Cards that wait at the runner of this socket. Throws AppError `gateway_unreachable` when nobody listens there. */
export async function readApprovals(path: string): Promise<readonly ApprovalCard[]> {
  const reply = await ask(path, { op: "approvals" });
  return reply.op === "approvals" ? reply.payload as readonly ApprovalCard[] : [];
}

/** Answers one as the owner. Throws what the runner says: AppError `approval_unknown`, `usage`; `gateway_unreachable`. */
export async function answerApproval(path: string, given: GivenAnswer): Promise<void> {
  await ask(path, { op: "answer_approval", payload: given });
}

async function ask(path: string, request: ControlRequest): Promise<ControlReply> {
  let connection: Deno.UnixConn;
  try {
    connection = await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    throw new AppError("gateway_unreachable", "no runner listens at the control socket of this workspace", { cause });
  }
  try {
    const writer = connection.writable.getWriter();
    await writer.write(encodeLengthJson(request, LIMITS.controlBytesMax));
    const answer = await readLengthJson(new ByteReader(connection.readable), LIMITS.approvalsBytesMax);
    if (answer === undefined) throw new AppError("gateway_unreachable", "the runner closed its control socket");
    // The runner is trusted more than this process, which has no packages and so no parser of schemas.
    const reply = answer as ControlReply;
    if (reply.op === "error") throw new AppError(reply.payload.code as ErrorCode, reply.payload.message);
    return reply;
  } finally {
    connection.close();
  }
}
