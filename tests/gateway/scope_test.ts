import assert from "node:assert/strict";
import { ClientFrame } from "#/gateway/client_frame.ts";
import { checkFrame } from "#/gateway/scope.ts";
import type { Scope } from "#/gateway/token.ts";

const READ = ["hello", "list_sessions", "switch_session", "resume", "health_check"];
const CHANNEL = [...READ, "send_turn", "steer", "cancel_active_turn", "cancel_all_active_turns", "create_session"];

Deno.test("checkFrame() lets each scope send its frames and no other", () => {
  const types = ClientFrame.options.map((option) => option.shape.type.value);
  const may = (scope: Scope) =>
    types.filter((type) => {
      try {
        checkFrame({ id: "t", scope }, { type, payload: {} } as ClientFrame);
        return true;
      } catch (error) {
        assert.equal((error as { code?: string }).code, "gateway_refused");
        return false;
      }
    }).sort();
  assert.deepEqual(may("owner"), types.toSorted());
  assert.deepEqual(may("read"), READ.toSorted());
  assert.deepEqual(may("channel"), CHANNEL.toSorted());
});

Deno.test("checkFrame() takes a hello that makes a session for what it is", () => {
  const payload = { request_id: "r", protocol_version: 2, user_id: "u", create_new_session: true };
  const hello = { type: "hello", payload } as const;
  checkFrame({ id: "t", scope: "channel" }, hello);
  assert.throws(() => checkFrame({ id: "t", scope: "read" }, hello), /good for `read`/);
});
