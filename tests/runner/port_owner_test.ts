import assert from "node:assert/strict";
import { isListening } from "#/runner/port_owner.ts";

Deno.test("isListening() knows whose port it is", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.ok(isListening(Deno.pid, port));
  const other = new Deno.Command("sleep", { args: ["60"] }).spawn();
  assert.equal(isListening(other.pid, port), false, "another process");
  other.kill("SIGKILL");
  await other.status;
  assert.equal(isListening(other.pid, port), false, "a process that is gone");
  // A connection from this port is no listener.
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  assert.equal(isListening(Deno.pid, (client.localAddr as Deno.NetAddr).port), false);
});

Deno.test("isListening() means 127.0.0.1 and nothing beside it", () => {
  using listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  assert.equal(isListening(Deno.pid, listener.addr.port), false);
});
