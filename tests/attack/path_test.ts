import assert from "node:assert/strict";
import { join } from "node:path";
import { AppError } from "#/core/error.ts";
import { readText } from "#/sandbox/file_read.ts";
import type { FileHostCall } from "#/sandbox/host_call.ts";
import { openOs } from "#/sandbox/open_os.ts";
import type { Os } from "#/sandbox/os.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";

function everyCall(path: string): FileHostCall[] {
  return [
    { fn: "fs-read.read-text", path },
    { fn: "fs-read.list", path, recursive: true },
    { fn: "fs-read.scan", path, glob: "", cursor: "" },
    { fn: "fs-write.write-text", path, text: "x" },
    { fn: "fs-write.remove", path },
  ];
}

Deno.test("a path that tries to leave its root is refused by every host call, and the reason names a root but no host path", async () => {
  using temp = openTempFiles();
  const paths = [
    "/shared/../outside/secret.txt",
    "/shared/a/../../outside/secret.txt",
    "/shared/..",
    "/srv/secret.txt",
    "/etc/passwd",
    "/proc/self/environ",
    "/shared/secret.txt\0.txt",
    "/shared/secret.txt/",
    "/shared//secret.txt",
    "/shared/．．/outside/secret.txt/",
    "/shared/%2e%2e/..",
    "/ｓhared/a",
    "/Shared/a",
    "/shared\u0000/a",
    "\\\\?\\C:\\secret",
    "~/secret.txt",
    "",
    `/shared/${"../".repeat(100)}etc/passwd`,
    `/shared/${"a".repeat(2_000)}`,
    "/shared/.oxydra/agent.toml",
    "/internal/events.db",
  ];
  for (const path of paths) {
    for (const call of everyCall(path)) {
      await assert.rejects(temp.run(call), (error) => {
        assert.ok(error instanceof AppError, `${call.fn} ${path}: ${error}`);
        assert.match(error.code, /^path_(invalid|outside)$/);
        assert.ok(!error.message.includes(temp.dir) && !error.message.includes("/proc"), error.message);
        return true;
      }, `${call.fn} ${path}`);
    }
  }
  assert.deepEqual([...Deno.readDirSync(temp.shared)], []);
});

Deno.test("a host path that begins like a root leads into the root, not to the host", async () => {
  using temp = openTempFiles();
  const path = `/tmp${temp.outside.slice(temp.outside.lastIndexOf("/"))}/secret.txt`;
  await assert.rejects(temp.run({ fn: "fs-read.read-text", path }), { code: "file_not_found" });
  await temp.run({ fn: "fs-write.write-text", path, text: "mine" });
  assert.equal(Deno.readTextFileSync(join(temp.dir, "tmp", "outside", "secret.txt")), "mine");
  assert.equal(Deno.readTextFileSync(join(temp.outside, "secret.txt")), "SECRET");
});

Deno.test("names that only look like dots or slashes are plain names inside the root", async () => {
  using temp = openTempFiles();
  for (const name of ["．．", "..．", "‥", "a∕b", "...", "%2e%2e", "$HOME", "-rf", "a;b", "CON"]) {
    await temp.run({ fn: "fs-write.write-text", path: `/shared/${name}`, text: name });
    assert.equal(Deno.readTextFileSync(join(temp.shared, name)), name);
  }
});

Deno.test("a link made before the call is refused, as file, as folder, dangling, inside and outside", async () => {
  using temp = openTempFiles();
  Deno.writeTextFileSync(join(temp.shared, "real"), "inside");
  const links: [string, string][] = [
    ["abs", join(temp.outside, "secret.txt")],
    ["rel", "../outside/secret.txt"],
    ["inside", "real"],
    ["dangling", "../outside/new.txt"],
    ["self", "self"],
    ["slash", "/"],
    ["proc", "/proc/self/cwd"],
  ];
  for (const [name, target] of links) Deno.symlinkSync(target, join(temp.shared, name));
  Deno.symlinkSync(temp.outside, join(temp.shared, "dir"));
  for (
    const path of [
      ...links.map(([name]) => `/shared/${name}`),
      "/shared/dir/secret.txt",
      "/shared/dir/new.txt",
      "/shared/slash/etc/passwd",
    ]
  ) {
    for (const call of everyCall(path)) {
      await assert.rejects(
        temp.run(call),
        { code: "path_outside", message: /symbolic link.*\/shared$/ },
        `${call.fn} ${path}`,
      );
    }
  }
  assert.deepEqual([...Deno.readDirSync(temp.outside)].map((e) => e.name), ["secret.txt"]);
  assert.equal(Deno.readTextFileSync(join(temp.outside, "secret.txt")), "SECRET");
});

Deno.test("a pipe, a device and a socket are refused at once", async () => {
  using temp = openTempFiles();
  const made = new Deno.Command("mkfifo", { args: [join(temp.shared, "pipe")] }).outputSync();
  assert.ok(made.success);
  using listener = Deno.listen({ transport: "unix", path: join(temp.shared, "socket") });
  assert.ok(listener);
  const names = ["pipe", "socket"];
  // Making a device needs root.
  if (
    new Deno.Command("mknod", { args: [join(temp.shared, "zero"), "c", "1", "5"], stderr: "null" }).outputSync().success
  ) {
    names.push("zero");
  }
  for (const name of names) {
    for (const fn of ["fs-read.read-text", "fs-write.remove"] as const) {
      await assert.rejects(temp.run({ fn, path: `/shared/${name}` }), { code: "file_not_regular" });
    }
    await assert.rejects(temp.run({ fn: "fs-write.write-text", path: `/shared/${name}`, text: "x" }), {
      code: "file_not_regular",
    });
  }
  const { value } = await temp.run({ fn: "fs-read.scan", path: "/shared", glob: "", cursor: "" });
  assert.deepEqual(value.files, []);
});

Deno.test("a file that grows while it is read ends at the limit", async () => {
  using temp = openTempFiles();
  const path = join(temp.shared, "log");
  Deno.writeTextFileSync(path, "x");
  const read = async () => {
    using call = temp.files.openCall();
    const allowance = { bytesMax: 2_000, entriesMax: 0 };
    return await call.run({ fn: "fs-read.read-text", path: "/shared/log" }, allowance, new AbortController().signal);
  };
  assert.equal((await read()).content!.length, 1);
  const child = new Deno.Command("sh", { args: ["-c", `while :; do echo 0123456789 >> '${path}'; done`] }).spawn();
  try {
    let code = "";
    while (code === "") {
      await read().then(
        (answer) => assert.ok(answer.content!.length <= 2_000),
        (error) => code = error.code,
      );
      // Lets the timer of a test run that hangs fire.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(code, "file_too_large");
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

Deno.test("a file that grows with every look at it ends at the limit, whatever its size was when it was opened", () => {
  using temp = openTempFiles();
  const path = join(temp.shared, "log");
  Deno.writeTextFileSync(path, "x");
  const os = openOs();
  using handle = os.openRoot(temp.shared);
  const growing: Os = {
    ...os,
    read(file, into, offset) {
      Deno.writeTextFileSync(path, "0123456789", { append: true });
      return os.read(file, into, offset);
    },
  };
  const read = () => readText({ os: growing, handle }, { root: "shared", parts: ["log"] }, 2_000);
  assert.throws(read, { code: "file_too_large" });
});

Deno.test("a hard link is the file itself: it reads, but a write never reaches the other name", async () => {
  using temp = openTempFiles();
  Deno.linkSync(join(temp.outside, "secret.txt"), join(temp.shared, "hard"));
  // No system tells the two names apart. Whoever can make one could read the file; no tool can make one.
  assert.equal((await temp.run({ fn: "fs-read.read-text", path: "/shared/hard" })).text, "SECRET");
  await temp.run({ fn: "fs-write.write-text", path: "/shared/hard", text: "changed" });
  await temp.run({ fn: "fs-write.remove", path: "/shared/hard" });
  assert.equal(Deno.readTextFileSync(join(temp.outside, "secret.txt")), "SECRET");
});
