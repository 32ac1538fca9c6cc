import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import type { FileHostCall } from "#/sandbox/host_call.ts";
import { HOST_PACKAGE, HOST_RUNS, type HostStep, type StepDeps } from "#/sandbox/host_run.ts";
import { toTools } from "#/tools/registry.ts";

/** Not UTF-8, with a NUL, and every byte there is. */
const BYTES = Uint8Array.from({ length: 256 }, (_, at) => 255 - at);

const stepOf = (tool: keyof typeof HOST_RUNS, name: string): HostStep => {
  const step = HOST_RUNS[tool].find((one) => one.name === name);
  assert.ok(step, name);
  return step;
};

/** What a step asked of its host, and a host that answers with this. */
function openHost(answer: HostAnswer = { value: {} }, attachment = BYTES) {
  const calls: FileHostCall[] = [];
  const indexes: number[] = [];
  const deps: StepDeps = {
    onOutput: () => {},
    capabilities: [],
    timeoutSecs: 60,
    browse: () => Promise.reject(new TypeError("no browser")),
    shell: () => Promise.reject(new TypeError("no shell")),
    path: "/shared/copy",
    host(call) {
      calls.push(call);
      return Promise.resolve(answer);
    },
    attachment(index) {
      indexes.push(index);
      return Promise.resolve({ mimeType: "image/png", content: attachment });
    },
  };
  return { deps, calls, indexes };
}

Deno.test("HOST_RUNS has the steps of every tool that the runner runs, each of one kind that its tool needs", () => {
  const named = [...toTools({ hasBrowser: true, shellSecs: 60 }).values()].flatMap(({ name, run }) =>
    "host" in run ? [[name, run.host]] : []
  );
  assert.deepEqual(named.map(([tool]) => tool), ["vault_copyto", "attachment_save", "shell_exec", "browser"]);
  assert.deepEqual(
    Object.entries(HOST_RUNS).map(([tool, steps]) => [tool, steps.map(({ name, kinds }) => [name, ...kinds])]),
    [
      ["vault_copyto", [["read", "fs.read"], ["write", "fs.write"]]],
      ["attachment_save", [["save", "fs.write"]]],
      ["browser", [["browse", "browser"], ["save", "fs.write"]]],
      ["shell_exec", [["run", "shell", "connect"]]],
    ],
  );
  assert.equal(HOST_PACKAGE, "host");
});

Deno.test("vault_copyto reads bytes in one step and writes the same bytes in the next, telling nobody what they are", async () => {
  const args = { source_path: "/vault/key", destination_path: "/shared/copy" };
  const reading = openHost({ value: {}, content: BYTES });
  const read = await stepOf("vault_copyto", "read").run(args, new Uint8Array(0), {
    ...reading.deps,
    path: "/vault/key",
  });
  assert.deepEqual(reading.calls, [{ fn: "fs-read.read-bytes", path: "/vault/key" }]);
  assert.deepEqual(read, { content: BYTES, text: "" });
  const writing = openHost();
  const written = await stepOf("vault_copyto", "write").run(args, read.content, writing.deps);
  assert.deepEqual(writing.calls, [
    { fn: "fs-write.write-bytes", path: "/shared/copy", content: BYTES, expectSha256: "absent" },
  ]);
  assert.deepEqual(written, { content: new Uint8Array(0), text: "Copied /vault/key to /shared/copy (256 bytes)." });
  assert.deepEqual([...reading.indexes, ...writing.indexes], []);
});

Deno.test("vault_copyto of an empty file makes an empty file", async () => {
  const { content } = await stepOf("vault_copyto", "read").run({}, BYTES, openHost({ value: {} }).deps);
  assert.equal(content.length, 0);
});

Deno.test("a step replaces a file that is there only when the call says so", async () => {
  for (const [overwrite, expected] of [[undefined, "absent"], [false, "absent"], [true, undefined]] as const) {
    const args = { source_path: "/vault/a", index: 2, overwrite };
    for (const [tool, name] of [["vault_copyto", "write"], ["attachment_save", "save"]] as const) {
      const { deps, calls } = openHost();
      await stepOf(tool, name).run(args, BYTES, deps);
      const [call] = calls;
      assert.ok(call?.fn === "fs-write.write-bytes");
      assert.deepEqual([call.content, call.expectSha256, calls.length], [BYTES, expected, 1]);
    }
  }
});

Deno.test("attachment_save asks for the attachment of that index, and writes nothing when there is none", async () => {
  const save = stepOf("attachment_save", "save");
  const { deps, calls, indexes } = openHost();
  const { text } = await save.run({ index: 3, path: "/shared/copy" }, new Uint8Array(0), deps);
  assert.equal(text, "Saved attachment 3 (image/png, 256 bytes) to /shared/copy.");
  assert.deepEqual([indexes, calls.length], [[3], 1]);
  const empty = openHost({ value: {} }, new Uint8Array(0));
  await assert.rejects(save.run({ index: 0 }, BYTES, empty.deps), {
    code: "tool_failed",
    message: "Attachment 0 is empty",
  });
  const none = openHost();
  const attachment = () => Promise.reject(new AppError("tool_failed", "no attachments"));
  await assert.rejects(save.run({ index: 0 }, BYTES, { ...none.deps, attachment }), { message: "no attachments" });
  assert.deepEqual([...empty.calls, ...none.calls], []);
});
