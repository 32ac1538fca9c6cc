import assert from "node:assert/strict";
import { join } from "node:path";
import { controlPath } from "#/runner/endpoint.ts";
import { toOwnSocket } from "#/runner/own_socket.ts";
import { makeFolders } from "../fixture/workspace.ts";

Deno.test("toOwnSocket() is the path of the control socket, whether or not anything is there", () => {
  const folders = makeFolders();
  assert.equal(toOwnSocket(folders), controlPath(folders.ipc));
  using _listener = Deno.listen({ transport: "unix", path: controlPath(folders.ipc) });
  assert.equal(toOwnSocket(folders), controlPath(folders.ipc));
  const nowhere = join(folders.root, "nowhere");
  assert.equal(toOwnSocket({ ipc: nowhere, run: nowhere }), controlPath(nowhere));
});
