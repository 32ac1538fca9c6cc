import assert from "node:assert/strict";
import {
  BWRAP_FILES,
  BWRAP_SCRIPT,
  ETC_FILES,
  planBwrap,
  readSystemView,
  type SystemView,
} from "#/sandbox/tier_bwrap_args.ts";

const VIEW: SystemView = {
  roots: [["bin", "usr/bin"], ["lib64", undefined]],
  etc: ["ssl/certs"],
  hidden: [{ path: "/proc/slabinfo", isFolder: false }, { path: "/proc/irq", isFolder: true }],
  canDisableUserns: true,
};
const SPEC = { mounts: { shared: "/h/s", tmp: "/h/t" }, env: {}, files: {} };

/** Whether these words follow one another. */
function has(args: readonly string[], ...words: readonly string[]): boolean {
  return args.some((_, index) => words.every((word, offset) => args[index + offset] === word));
}

Deno.test("planBwrap() names every mount and nothing else", () => {
  const files = { "/run/oxydra/agent.sh": "/h/agent.sh" };
  const args = planBwrap({ ...SPEC, env: { A: "b=c" }, files, netDir: "/h/net" }, VIEW, ["/shared/.oxydra"]);
  for (
    const words of [
      ["--ro-bind", "/usr", "/usr"],
      ["--symlink", "usr/bin", "/bin"],
      ["--ro-bind", "/lib64", "/lib64"],
      ["--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs"],
      ["--ro-bind", "/dev/null", "/proc/slabinfo"],
      ["--tmpfs", "/proc/irq", "--remount-ro", "/proc/irq"],
      ["--bind", "/h/s", "/shared"],
      ["--bind", "/h/t", "/tmp"],
      ["--tmpfs", "/shared/.oxydra", "--remount-ro", "/shared/.oxydra"],
      ["--ro-bind", "/h/agent.sh", "/run/oxydra/agent.sh"],
      ["--ro-bind", "/h/net", "/run/oxydra-net"],
      ["--setenv", "A", "b=c"],
      ["--setenv", "HOME", "/tmp"],
      ["--disable-userns"],
    ]
  ) assert.ok(has(args, ...words), words.join(" "));
  const sources = args.filter((_, index) => /bind/.test(args[index - 1] ?? "") && !/data/.test(args[index - 1]!));
  assert.deepEqual(sources.toSorted(), [
    ...["/dev/null", "/etc/ssl/certs", "/h/agent.sh", "/h/net", "/h/s", "/h/t", "/h/t", "/lib64", "/proc/sys", "/usr"],
  ]);
});

Deno.test("planBwrap() without a way out mounts none, and leaves out what an old bubblewrap does not know", () => {
  const args = planBwrap(SPEC, { ...VIEW, canDisableUserns: false }, []);
  assert.ok(!args.includes("/run/oxydra-net"));
  assert.ok(!args.includes("--disable-userns"));
});

Deno.test("planBwrap() keeps what the driver sets, whatever the environment says", () => {
  const args = planBwrap({ ...SPEC, env: { PATH: "/shared", HOME: "/shared" } }, VIEW, []);
  assert.ok(!has(args, "PATH", "/shared") && !has(args, "HOME", "/shared"));
});

Deno.test("planBwrap() refuses what would begin another option", () => {
  const wrong: readonly Partial<Parameters<typeof planBwrap>[0]>[] = [
    { env: { A: "b\0--bind\0/\0/host" } },
    { env: { "A=B": "c" } },
    { env: { "": "c" } },
    { files: { "run/x": "/h/x" } },
    { files: { "/run/../../etc": "/h/x" } },
    { mounts: { shared: "/h/s\0--bind", tmp: "/h/t" } },
  ];
  for (const spec of wrong) {
    assert.throws(() => planBwrap({ ...SPEC, ...spec }, VIEW, []), RangeError, JSON.stringify(spec));
  }
});

Deno.test("readSystemView() finds what is here, no secret of /etc among it", () => {
  const { roots, etc, hidden } = readSystemView(true);
  assert.ok(roots.some(([name]) => name === "bin"));
  assert.ok(etc.includes("ld.so.cache"));
  for (const name of ["shadow", "passwd", "ssh", "ssl", "ssl/private", "machine-id", "gitconfig"]) {
    assert.ok(!etc.includes(name), name);
  }
  for (const path of ["/proc/kmsg", "/proc/slabinfo"]) assert.ok(hidden.some((hide) => hide.path === path), path);
  for (const path of ["/proc/meminfo", "/proc/self", "/proc/sys"]) {
    assert.ok(!hidden.some((hide) => hide.path === path), path);
  }
});

Deno.test("BWRAP_SCRIPT opens every file of ours, and takes no text as its own", () => {
  for (const name of BWRAP_FILES) assert.ok(BWRAP_SCRIPT.includes(`"$1/${name}"`), name);
  assert.deepEqual(
    Object.keys(ETC_FILES).toSorted(),
    BWRAP_FILES.filter((name) => name !== "args" && name !== "filter").toSorted(),
  );
});
