import assert from "node:assert/strict";
import { toTurnRecord } from "#/gateway/turn_record.ts";

Deno.test("toTurnRecord() is a message that nobody has begun, and that can be cancelled by itself", () => {
  const message = {
    session: "s",
    turn: "t",
    text: "a",
    channel: "c",
    requestId: "r",
    attachments: [],
    sender: undefined,
  };
  const [one, other] = [toTurnRecord(message), toTurnRecord(message)];
  one.abort.abort("asked");
  assert.ok(!other.abort.signal.aborted && !other.started && !other.parked && !other.replay);
  assert.deepEqual([other.session, other.turn, other.text, other.requestId], ["s", "t", "a", "r"]);
});
