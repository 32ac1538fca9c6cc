import { AppError } from "#/core/error.ts";
import type { ClientFrame } from "#/gateway/client_frame.ts";
import { type Caller, mayDo, type Scope } from "#/gateway/token.ts";

/** For what a token must be good to send a frame; an owner's is good for everything. What a `channel` may see of it the directory decides. */
const NEEDED: Readonly<Record<ClientFrame["type"], readonly Scope[]>> = {
  hello: ["read", "channel"],
  list_sessions: ["read", "channel"],
  switch_session: ["read", "channel"],
  resume: ["read", "channel"],
  health_check: ["read", "channel"],
  send_turn: ["channel"],
  steer: ["channel"],
  cancel_active_turn: ["channel"],
  cancel_all_active_turns: ["channel"],
  create_session: ["channel"],
  approval_answer: ["owner"],
};

/** Throws AppError `gateway_refused` when a caller may not send such a frame, or asks with `hello` for a new session and may make none. Pure. */
export function checkFrame(caller: Caller, frame: ClientFrame): void {
  const needed = frame.type === "hello" && frame.payload.create_new_session
    ? NEEDED.create_session
    : NEEDED[frame.type];
  if (needed.some((scope) => mayDo(caller.scope, scope))) return;
  throw new AppError("gateway_refused", `this token is good for \`${caller.scope}\`, and that may not ${frame.type}`);
}
