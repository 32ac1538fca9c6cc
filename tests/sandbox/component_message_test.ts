import assert from "node:assert/strict";
import { type InspectRequest, packMessage, unpackMessage } from "#/sandbox/component_message.ts";

const bytes = (...values: number[]) => new Uint8Array(values);
const REQUEST: InspectRequest = {
  v: 1,
  imports: ["a"],
  pagesMax: 1,
  files: [{ name: "x", bytes: 2 }, { name: "y", bytes: 0 }, { name: "z", bytes: 1 }],
};

Deno.test("unpackMessage() gives back what packMessage() was given", () => {
  const contents = [{ name: "x", bytes: bytes(1, 2) }, { name: "y", bytes: bytes() }, { name: "z", bytes: bytes(3) }];
  const { head, files } = unpackMessage(packMessage(REQUEST, contents), (it) => it as InspectRequest);
  assert.deepEqual(head, REQUEST);
  assert.deepEqual([...files], [["x", bytes(1, 2)], ["y", bytes()], ["z", bytes(3)]]);
});

Deno.test("unpackMessage() refuses what is cut, too long, no JSON or not what its reader expects", () => {
  const whole = packMessage(REQUEST, [{ name: "x", bytes: bytes(1, 2, 3) }]);
  const take = (it: unknown) => it as InspectRequest;
  const none = () => {
    throw new Error("not that");
  };
  unpackMessage(whole, take);
  const wrong: [Uint8Array<ArrayBuffer>, (it: unknown) => InspectRequest][] = [
    [bytes(), take],
    [whole.slice(0, -1), take],
    [new Uint8Array([...whole, 0]), take],
    [bytes(255, 255, 255, 255, 1), take],
    [bytes(0, 0, 0, 1, 65), take],
    [whole, none],
  ];
  for (const [message, parse] of wrong) {
    assert.throws(() => unpackMessage(message, parse), { code: "component_invalid", message: /no readable answer/ });
  }
});
