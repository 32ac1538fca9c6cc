import assert from "node:assert/strict";
import { join } from "node:path";
import type { UserFolders } from "#/config/user.ts";
import { checkOwnFiles } from "#/runner/own_files.ts";

async function withFolders(check: (folders: UserFolders) => void | Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "oxydra-own-" });
  const names = ["shared", "tmp", "vault", "ipc", "logs", "internal", "run", "audit"] as const;
  const folders = {
    root,
    ...Object.fromEntries(names.map((name) => [name, join(root, name)])),
  } as unknown as UserFolders;
  for (const name of names) await Deno.mkdir(folders[name]);
  try {
    await check(folders);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("checkOwnFiles() makes folders private that others could enter, and leaves the roots of tools alone", async () => {
  await withFolders(async (folders) => {
    for (const path of Object.values(folders)) await Deno.chmod(path, 0o777);
    checkOwnFiles(folders);
    const modes = Object.fromEntries(
      Object.entries(folders).map(([name, path]) => [name, Deno.statSync(path).mode! & 0o777]),
    );
    const ours = { root: 0o700, ipc: 0o700, logs: 0o700, internal: 0o700, run: 0o700, audit: 0o700 };
    assert.deepEqual(modes, { shared: 0o777, tmp: 0o777, vault: 0o777, ...ours });
  });
});

Deno.test("checkOwnFiles() takes what a former start left behind", async () => {
  await withFolders((folders) => {
    for (const file of ["ipc/gateway-endpoint", "logs/runtime.log", "internal/oxydra.db", "run/runner.lock"]) {
      Deno.writeTextFileSync(join(folders.root, file), "x");
    }
    Deno.mkdirSync(join(folders.internal, "blobs", "ab"), { recursive: true });
    // A self-test that was killed leaves its links.
    Deno.mkdirSync(join(folders.run, "self-test-1"));
    Deno.symlinkSync("/", join(folders.run, "self-test-1", "link"));
    checkOwnFiles(folders);
  });
});

Deno.test("checkOwnFiles() names every link, pipe and folder in the place of a file", async () => {
  await withFolders(async (folders) => {
    Deno.mkdirSync(join(folders.internal, "deep", "er"), { recursive: true });
    const links = [
      "run/runner.lock",
      "run/guest.lock",
      "run/kept",
      "run/packages",
      "internal/any",
      "internal/deep/er/link",
    ];
    for (const link of links) Deno.symlinkSync("/nowhere/else", join(folders.root, link));
    Deno.mkdirSync(join(folders.ipc, "gateway-endpoint"));
    await new Deno.Command("mkfifo", { args: [join(folders.logs, "runtime.log")] }).output();
    Deno.writeTextFileSync(join(folders.logs, "runtime.log.1"), "");
    assert.throws(() => checkOwnFiles(folders), (error: Error & { code?: string }) => {
      assert.equal(error.code, "config_invalid");
      const found = error.message.split("\n").map((line) => line.slice(folders.root.length + 1).split(",")[0]!).sort();
      assert.deepEqual(found, [
        "internal/any is a link; only plain files belong there",
        "internal/deep/er/link is a link; only plain files belong there",
        "ipc/gateway-endpoint is a folder",
        "logs/runtime.log is a pipe",
        "run/guest.lock is a link",
        "run/kept is a link",
        "run/packages is a link",
        "run/runner.lock is a link",
      ]);
      return true;
    });
  });
});

Deno.test("checkOwnFiles() refuses a folder of another user", async () => {
  // Only root can give a folder away; everybody else is asked about one that is root's.
  if (Deno.uid() !== 0) {
    const all = {
      root: "/",
      ipc: "/",
      logs: "/",
      internal: "/",
      run: "/",
      audit: "/",
      shared: "/",
      tmp: "/",
      vault: "/",
    };
    return assert.throws(() => checkOwnFiles(all), /belongs to another user/);
  }
  await withFolders(async (folders) => {
    await Deno.chown(folders.run, 65_534, 65_534);
    assert.throws(() => checkOwnFiles(folders), /run belongs to another user of this machine/);
  });
});
