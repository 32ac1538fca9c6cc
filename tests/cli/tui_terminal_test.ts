import assert from "node:assert/strict";
import type { Key } from "#/cli/tui_keys.ts";
import { LEAVE, RawTerminal } from "#/cli/tui_terminal.ts";

function open(): { terminal: RawTerminal; log: string[] } {
  const log: string[] = [];
  const terminal = new RawTerminal({
    setRaw: (isRaw) => log.push(`raw ${isRaw}`),
    write: (text) => log.push(text),
  });
  return { terminal, log };
}

Deno.test("RawTerminal takes the terminal over and gives it back once: mode, paste brackets, cursor, style", () => {
  const { terminal, log } = open();
  terminal.leave();
  assert.deepEqual(log, []);
  terminal.enter();
  assert.deepEqual(log.splice(0), ["raw true", "\x1b[?2004h\x1b[?u"]);
  terminal.leave();
  terminal.leave();
  assert.deepEqual(log, [LEAVE, "raw false"]);
  for (const part of ["\x1b[?2026l", "\x1b[?2004l", "\x1b[0m", "\x1b[?25h"]) assert.ok(LEAVE.includes(part));
});

Deno.test("RawTerminal gives back also when the terminal is gone", () => {
  const terminal = new RawTerminal({
    setRaw: (isRaw) => {
      if (!isRaw) throw new Error("EIO");
    },
    write: () => {},
  });
  terminal.enter();
  terminal.leave();
});

Deno.test("RawTerminal reads keys, a lone Escape a moment later, and asks a kitty for its protocol once", async () => {
  const { terminal, log } = open();
  terminal.enter();
  log.splice(0);
  const keys: Key[] = [];
  const escaped = Promise.withResolvers<void>();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const reading = terminal.read(readable, (key) => {
    keys.push(key);
    if (key.type === "key" && key.name === "escape") escaped.resolve();
  });
  const writer = writable.getWriter();
  const type = (text: string) => writer.write(new TextEncoder().encode(text));
  await type("\x1b[?0u\x1b[?0u");
  await type("a\r");
  // A character in two halves.
  const [first, second] = [Uint8Array.of(0xc3), Uint8Array.of(0xa4)];
  await writer.write(first);
  await writer.write(second);
  await type("\x1b");
  await escaped.promise;
  await writer.close();
  await reading;
  assert.deepEqual(log, ["\x1b[>1u"]);
  assert.deepEqual(keys.map((key) => key.type === "key" ? key.name : key.type === "text" && key.text), [
    "a",
    "enter",
    "ä",
    "escape",
  ]);
  terminal.leave();
  assert.deepEqual(log.slice(1), [`\x1b[<u${LEAVE}`, "raw false"]);
});
