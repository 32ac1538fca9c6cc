import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { CLOSE_SLOW, Hub, type Outlet } from "#/gateway/hub.ts";
import { toFrame } from "#/gateway/server_frame.ts";

/** A socket whose network takes nothing until it is told to. */
class StuckOutlet implements Outlet {
  bufferedAmount = 0;
  readyState: number = WebSocket.OPEN;
  readonly sent: string[] = [];
  closing: { code: number; reason: string } | undefined;

  send(text: string): void {
    this.sent.push(text);
    this.bufferedAmount += text.length;
  }

  close(code: number, reason: string): void {
    this.closing = { code, reason };
    this.readyState = WebSocket.CLOSING;
  }
}

function subscriber(turnEvents = false, media = false) {
  return { knows: { turnEvents, approvals: false, media, usage: false }, outlet: new StuckOutlet() };
}

const note = (message: string) => toFrame("scheduled_notification", { schedule_id: "i", message });
const kept = (message: string) => [{ frame: note(message), droppable: false }];
const live = (message: string) => [{ frame: note(message), droppable: true }];

Deno.test("publish() reaches who watches the session, and nobody else", () => {
  const hub = new Hub();
  const [one, two, other] = [subscriber(), subscriber(), subscriber()];
  hub.attach("a", one);
  hub.attach("a", two);
  hub.attach("b", other);
  hub.publish("a", kept("x"));
  hub.publish("nobody", kept("y"));
  assert.deepEqual([one, two, other].map((who) => who.outlet.sent.length), [1, 1, 0]);
  hub.attach("b", two);
  hub.publish("a", kept("x"));
  assert.deepEqual([one, two, other].map((who) => who.outlet.sent.length), [2, 1, 0]);
  hub.detach(one);
  hub.detach(one);
  hub.publish("a", kept("x"));
  assert.deepEqual([one, two, other].map((who) => who.outlet.sent.length), [2, 1, 0]);
});

Deno.test("publish() sends media to each kind of client as it announced", () => {
  const hub = new Hub();
  const [plain, saving, reference] = [subscriber(true), subscriber(true, true), subscriber()];
  for (const who of [plain, saving, reference]) hub.attach("a", who);
  const session = { user_id: "ann", session_id: "a" };
  const attachment = { file_path: "a.png", media_type: "photo", data: "" } as const;
  hub.publish("a", [{
    frame: toFrame("media_attachment", { request_id: "r", session, attachment }),
    droppable: false,
  }]);
  assert.deepEqual([plain, saving, reference].map((who) => who.outlet.sent.length), [0, 1, 1]);
});

Deno.test("publish() drops what may be dropped above clientQueueBytesMax, and only that", () => {
  const hub = new Hub();
  const [slow, quick] = [subscriber(), subscriber()];
  hub.attach("a", slow);
  hub.attach("a", quick);
  slow.outlet.bufferedAmount = LIMITS.clientQueueBytesMax;
  hub.publish("a", live("at the limit"));
  assert.equal(slow.outlet.sent.length, 1);
  hub.publish("a", live("over"));
  hub.publish("a", kept("recorded"));
  assert.equal(slow.outlet.sent.length, 2);
  assert.match(slow.outlet.sent[1]!, /recorded/);
  assert.equal(quick.outlet.sent.length, 3);
  slow.outlet.bufferedAmount = 0;
  hub.publish("a", live("caught up"));
  assert.equal(slow.outlet.sent.length, 3);
});

Deno.test("publish() lets a client go at clientQueueHardBytesMax, and tells it why", () => {
  const hub = new Hub();
  const [slow, quick] = [subscriber(), subscriber()];
  hub.attach("a", slow);
  hub.attach("a", quick);
  const size = JSON.stringify(note("x")).length;
  slow.outlet.bufferedAmount = LIMITS.clientQueueHardBytesMax - size;
  hub.publish("a", kept("x"));
  assert.equal(slow.outlet.readyState, WebSocket.OPEN, "exactly full is not too full");
  hub.publish("a", kept("x"));
  assert.equal(slow.outlet.closing?.code, CLOSE_SLOW);
  assert.match(slow.outlet.closing!.reason, /reads too slowly/);
  hub.publish("a", kept("x"));
  assert.equal(slow.outlet.sent.length, 1);
  assert.equal(quick.outlet.sent.length, 3);
  slow.outlet.readyState = WebSocket.OPEN;
  slow.outlet.bufferedAmount = 0;
  hub.publish("a", kept("x"));
  assert.equal(slow.outlet.sent.length, 1, "it watches no longer");
});

Deno.test("publish() sends one frame larger than the bound to a client that has read everything", () => {
  const hub = new Hub();
  const one = subscriber();
  hub.attach("a", one);
  hub.publish("a", kept("x".repeat(LIMITS.clientQueueHardBytesMax + 1)));
  assert.equal(one.outlet.sent.length, 1);
  hub.publish("a", kept("x"));
  assert.equal(one.outlet.closing?.code, CLOSE_SLOW);
});

Deno.test("publish() and deliver() leave a socket alone that is not open", () => {
  const hub = new Hub();
  for (const state of [WebSocket.CONNECTING, WebSocket.CLOSING, WebSocket.CLOSED]) {
    const one = subscriber();
    one.outlet.readyState = state;
    hub.attach("a", one);
    hub.publish("a", kept("x"));
    hub.deliver(one, note("x"));
    assert.equal(one.outlet.sent.length, 0);
  }
});

Deno.test("deliver() never drops an answer, and gives our frames only to who announced them", () => {
  const hub = new Hub();
  const [old, own] = [subscriber(), subscriber(true)];
  old.outlet.bufferedAmount = LIMITS.clientQueueBytesMax + 1;
  hub.deliver(old, note("x"));
  assert.equal(old.outlet.sent.length, 1);
  const info = toFrame("gateway_info", { request_id: "r", version: "1", provider: "p", model: "m", reason: "w" });
  hub.deliver(old, info);
  hub.deliver(own, info);
  assert.equal(old.outlet.sent.length, 1);
  assert.equal(own.outlet.sent.length, 1);
});
