/** What a hostile command tries against the walls that stand around every shell. Rules about commands are not among them. */
import assert from "node:assert/strict";
import { join, toFilePath } from "#/lib/path.ts";
import { BwrapTier } from "#/sandbox/tier_bwrap.ts";
import { openSmallDisk, WAY } from "../fixture/small_disk.ts";
import { openTempFiles } from "../sandbox/temp_files.ts";
import { LIMITS_OF_TESTS, WallHouse } from "../sandbox/wall_kit.ts";

const MIB = 1_048_576;
/** perl is part of every Debian; its calls go to the kernel as they are. */
const NUMBERS = Deno.build.arch === "x86_64"
  ? {
    ...{ ptrace: 101, keyctl: 250, unshare: 272, personality: 135, io_uring_setup: 425, clone3: 435 },
    ...{ process_vm_readv: 310, mount: 165, memfd_create: 319, shmget: 29 },
  }
  : {
    ...{ ptrace: 117, keyctl: 219, unshare: 97, personality: 92, io_uring_setup: 425, clone3: 435 },
    ...{ process_vm_readv: 270, mount: 40, memfd_create: 279, shmget: 194 },
  };

Deno.test("a process of somebody else is not seen in /proc", async () => {
  await using house = await WallHouse.open();
  const mark = crypto.randomUUID();
  const other = new Deno.Command("sh", { args: ["-c", `exec sleep 60 # ${mark}`], stdin: "null" }).spawn();
  try {
    const { stdout } = await house.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; ls -d /proc/[0-9]* | wc -l");
    assert.ok(!stdout.includes("sleep 60"), stdout);
    assert.ok(Number(stdout.trim().split("\n").at(-1)) < 10, stdout);
  } finally {
    other.kill();
    await other.status;
  }
});

Deno.test("no file of the host is there: no secret of /etc, no home, no socket, no /sys", async () => {
  await using house = await WallHouse.open();
  const { stdout } = await house.run(
    "ls -d /etc/shadow /etc/ssh /etc/ssl/private /etc/machine-id /root /home /sys /boot /opt /srv /mnt /var/lib /var/run /run/* 2>/dev/null; ls -A / /etc/passwd; wc -l < /etc/passwd",
  );
  const [passwd, ...rest] = stdout.trim().split("\n");
  assert.equal(passwd, "/etc/passwd");
  assert.deepEqual(rest.filter((line) => !/^(lib\w*|s?bin)$/.test(line)), [
    ...["", "/:", "dev", "etc", "proc", "run", "shared", "tmp", "usr", "var"],
    "3",
  ]);
});

Deno.test("a variable of its environment runs nothing outside the walls", async () => {
  await using house = await WallHouse.open();
  const [script, proof] = [join(house.root, "evil.sh"), join(house.root, "proof")];
  Deno.writeTextFileSync(script, `touch ${proof}`);
  const { code } = await house.run("true", { env: { BASH_ENV: script, ENV: script, LD_PRELOAD: script } });
  assert.equal(code, 0);
  assert.throws(() => Deno.statSync(proof), Deno.errors.NotFound);
});

Deno.test("what one shell plants in its home and tries in /etc does not run in the next one before its own program", async () => {
  await using house = await WallHouse.open();
  await house.run(
    "for f in .bashrc .profile .bash_profile .bash_login; do echo 'touch /shared/planted' > ~/$f; done; echo /tmp/evil.so > /etc/ld.so.preload",
  );
  const { stderr } = await house.run("true");
  assert.equal(stderr, "");
  assert.deepEqual([...Deno.readDirSync(house.shared)], []);
});

Deno.test("the settings of a project in a mount are neither read nor written, wherever they lie", async () => {
  await using house = await WallHouse.open();
  const folders = [".oxydra", "app/deep/.oxydra"].map((name) => join(house.shared, name));
  for (const folder of folders) {
    Deno.mkdirSync(folder, { recursive: true });
    Deno.writeTextFileSync(join(folder, "agent.toml"), "canary");
  }
  const { stdout } = await house.run(
    "cat .oxydra/* app/deep/.oxydra/*; for d in .oxydra app/deep/.oxydra; do echo x > $d/agent.toml; rm -rf $d; mv $d gone; done; mv app moved; cat moved/deep/.oxydra/*; mkdir .oxydra/x; ls -A .oxydra",
  );
  assert.equal(stdout, "");
  assert.deepEqual(folders.map((folder) => Deno.readTextFileSync(join(folder.replace("app", "moved"), "agent.toml"))), [
    ...["canary", "canary"],
  ]);
});

Deno.test("there is no network: no connection, no datagram, no socket of the host by an abstract name", async () => {
  await using house = await WallHouse.open();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { stdout } = await house.run(
    `(echo >/dev/tcp/127.0.0.1/${port}) 2>/dev/null && echo connected; (echo >/dev/udp/1.1.1.1/53) 2>/dev/null && echo sent; ` +
      "tail -n +2 /proc/net/unix; tail -n +3 /proc/net/dev | grep -v ' lo:'; tail -n +2 /proc/net/route",
  );
  assert.equal(stdout.replace(/^\s*lo:.*\n/m, ""), "");
});

Deno.test("a call that no shell needs is refused by the filter", async () => {
  await using house = await WallHouse.open();
  const calls: readonly (readonly [what: string, perl: string, errno: number])[] = [
    ["ptrace", `syscall(${NUMBERS.ptrace}, 0, 0, 0, 0)`, 1],
    ["keyctl", `syscall(${NUMBERS.keyctl}, 0, -3, 1)`, 1],
    ["unshare a user namespace", `syscall(${NUMBERS.unshare}, 0x10000000)`, 1],
    ["personality", `syscall(${NUMBERS.personality}, 0x0040000)`, 1],
    ["io_uring", `syscall(${NUMBERS.io_uring_setup}, 1, 0)`, 1],
    ["process_vm_readv", `syscall(${NUMBERS.process_vm_readv}, $$, 0, 0, 0, 0, 0)`, 1],
    ["mount", `syscall(${NUMBERS.mount}, 0, 0, 0, 0, 0)`, 1],
    ["a large segment of shared memory", `syscall(${NUMBERS.shmget}, 0, 1 << 30, 01600)`, 22],
    ["clone3", `syscall(${NUMBERS.clone3}, 0, 0)`, 38],
    ["a call that is newer than the filter", "syscall(467, 0)", 38],
    ["TIOCSTI", "ioctl(STDIN, 0x5412, my $a = 'x' x 64)", 1],
    ["TIOCLINUX", "ioctl(STDIN, 0x541c, my $b = 'x' x 64)", 1],
    ["AF_ALG", "socket(S, 38, 5, 0)", 97],
    ["AF_PACKET", "socket(S, 17, 3, 0)", 97],
    ["AF_VSOCK", "socket(S, 40, 1, 0)", 97],
    ["NETLINK_SOCK_DIAG", "socket(S, 16, 3, 4)", 97],
  ];
  const script = calls.map(([, perl]) =>
    `$! = 0; my $r = ${perl}; print((!defined $r || $r == -1) ? $!+0 : "done", "\\n");`
  );
  const { stdout, stderr } = await house.run(`perl -`, {}, `use warnings; {\n${script.join("}\n{")}\n}`);
  assert.deepEqual(stdout.trim().split("\n"), calls.map(([, , errno]) => String(errno)), stderr);
});

Deno.test("no program wins powers, no device can be made, and the system is not written to", async () => {
  await using house = await WallHouse.open();
  const { stdout, stderr } = await house.run(
    "grep -E '^(NoNewPrivs|Seccomp|Cap(Inh|Prm|Eff|Bnd|Amb)):' /proc/self/status | tr -d '\\t'; " +
      "for f in / /dev /etc /usr /run /var /usr/bin /etc/ssl /proc; do touch $f/oxydra-was-here 2>/dev/null && echo wrote $f; done; " +
      "mknod /tmp/sda b 8 0 && echo made; ln /usr/bin/env /shared/env && echo linked; grep -v nosuid /proc/self/mounts; ls /dev",
  );
  assert.deepEqual(stdout.trim().split("\n"), [
    ...["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => `${name}:0000000000000000`),
    ...["NoNewPrivs:1", "Seccomp:2"],
    ..."core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split(" "),
  ], stderr);
});

Deno.test("the kernel's settings are not written to, whoever runs this", async () => {
  await using house = await WallHouse.open();
  const { stdout } = await house.run(
    "for f in vm/swappiness kernel/core_pattern; do cat /proc/sys/$f > /tmp/v && cat /tmp/v 2>/dev/null > /proc/sys/$f && echo wrote; done; cat /proc/slabinfo /proc/vmallocinfo",
  );
  assert.equal(stdout, "");
});

Deno.test("what the runner itself inherited does not reach a shell", async () => {
  const root = Deno.makeTempDirSync({ prefix: "oxydra-wall-" });
  const secret = Deno.makeTempFileSync();
  Deno.writeTextFileSync(secret, "canary");
  try {
    const child = new URL("../sandbox/wall_child.ts", import.meta.url);
    // Above those that are opened for bwrap: they are to be inherited, not taken.
    const script = `exec 21<"$0" 22<"$0" && exec "$@"`;
    const { stdout } = await new Deno.Command("bash", {
      args: [
        "-c",
        script,
        secret,
        Deno.execPath(),
        "run",
        "-A",
        toFilePath(child),
        root,
        "{}",
        "timeout 5 cat <&21; timeout 5 cat <&22; ls /proc/self/fd | wc -l",
      ],
    }).output();
    const said = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
    assert.equal(said.stdout, "4\n");
  } finally {
    Deno.removeSync(secret);
  }
});

Deno.test("a value of the environment is on no command line", async () => {
  await using house = await WallHouse.open();
  const secret = crypto.randomUUID();
  const walled = await house.start(["/bin/bash", "-c", "echo $SECRET; read -r line"], { env: { SECRET: secret } });
  const reader = walled.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value).trim(), secret);
  const lines = [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/${name}/cmdline`);
    } catch {
      return "";
    }
  });
  assert.deepEqual(lines.filter((line) => line.includes(secret)), []);
  assert.deepEqual([...Deno.readDirSync(join(house.root, "run"))], []);
  await Promise.all([walled.kill(), reader.cancel(), walled.stdin.abort().catch(() => {}), walled.stderr.cancel()]);
});

Deno.test("a file grows to its bound and no further, holes included", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, fileBytesMax: MIB };
  await house.run("head -c 5M /dev/zero > a; truncate -s 1T b; true", { limits });
  assert.equal(Deno.statSync(join(house.shared, "a")).size, MIB);
  assert.ok(Deno.statSync(join(house.shared, "b")).size <= MIB);
});

Deno.test("a fork bomb stops at its bound", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, processesMax: 40 };
  const bomb =
    "$| = 1; while ($n < 400) { my $p = fork; last unless defined $p; if (!$p) { sleep 8; exit } $n++; } sleep 3; print $n";
  const { stdout, reason } = await house.run("perl -", { limits }, bomb);
  assert.ok(stdout === "" ? reason === "It had more than 40 processes" : Number(stdout) <= 40, `${stdout} ${reason}`);
});

Deno.test("a memory hog does not get what it wants", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, memoryBytesMax: 96 * MIB };
  const hog = "$x = 'a' x (400 * 1048576); sleep 4; print 'has it'";
  const { stdout, code } = await house.run("perl -", { limits }, hog);
  assert.equal(stdout, "");
  assert.notEqual(code, 0);
});

Deno.test("memory that no process has mapped counts as well", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, memoryBytesMax: 96 * MIB };
  // 32 MiB in each of twelve files that are nowhere but in memory.
  const hog =
    `$s = 'a' x 1048576; for my $i (1..12) { $fd = syscall(${NUMBERS.memfd_create}, my $n = 'x', 0); open($f[$i], '>&=', $fd); ` +
    "syswrite($f[$i], $s) for 1..32; } sleep 4; print 'has it'";
  const { stdout, code } = await house.run("perl -", { limits }, hog);
  assert.equal(stdout, "");
  assert.notEqual(code, 0);
});

Deno.test("what a shell plants for the file tools is a file or is refused: links out, pipes, sockets, holes", async () => {
  await using house = await WallHouse.open();
  using temp = openTempFiles();
  const { stderr } = await house.run(
    `ln -s ${temp.outside} dir; ln -s ${temp.outside}/secret.txt file; ln -s /proc/self/environ env; ln /etc/passwd hard; mkfifo pipe; ` +
      `perl -MSocket -e 'socket(S, 1, 1, 0); bind(S, pack_sockaddr_un("socket"))'; truncate -s 200M hole; echo fine > fine`,
    { mounts: { shared: temp.shared, tmp: house.tmp } },
  );
  assert.match(stderr, /^ln: .*(cross-device|not permitted)/m);
  const read = (name: string) => temp.run({ fn: "fs-read.read-text", path: `/shared/${name}` });
  assert.equal((await read("fine")).text, "fine\n");
  for (const name of ["dir/secret.txt", "file", "env", "hard", "pipe", "socket", "hole"]) {
    const error = await read(name).then(({ text }) => assert.fail(`${name}: ${text.slice(0, 40)}`), (thrown) => thrown);
    const codes = ["path_outside", "file_not_regular", "file_not_found", "file_too_large"];
    assert.ok(codes.includes(error.code), `${name}: ${error}`);
  }
});

Deno.test("kill -9 -1 ends the shell and nothing else", async () => {
  await using house = await WallHouse.open();
  const other = await house.start(["/bin/cat"]);
  const { stdout, code } = await house.run("kill -9 -1; echo alive");
  assert.deepEqual([stdout === "" || stdout === "alive\n", code], [true, stdout === "" ? 137 : 0]);
  const writer = other.stdin.getWriter();
  await writer.write(new TextEncoder().encode("still here"));
  await writer.close();
  assert.equal(await new Response(other.stdout).text(), "still here");
  await Promise.all([other.exited, other.stderr.cancel()]);
});

Deno.test("the terminal of whoever started the runner is not a shell's", async () => {
  const root = Deno.makeTempDirSync({ prefix: "oxydra-wall-" });
  const child = toFilePath(new URL("../sandbox/wall_child.ts", import.meta.url));
  const command = "(echo typed > /dev/tty) 2>/dev/null && echo reached";
  const line = [Deno.execPath(), "run", "-A", "--no-check", child, root, "{}", command].map((word) => `'${word}'`).join(
    " ",
  );
  const { stdout } = await new Deno.Command("script", { args: ["-qec", line, "/dev/null"], stdin: "null" }).output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(JSON.parse(/^\{.*\}/m.exec(text)![0]).stdout, "", text);
});

Deno.test("a disk filler ends soon after /shared or /tmp is over its bound", async () => {
  await using house = await WallHouse.open();
  const limits = { ...LIMITS_OF_TESTS, sharedBytesMax: 8 * MIB, tmpBytesMax: 8 * MIB };
  for (const root of ["shared", "tmp"]) {
    const filler = `cd /${root}; for i in $(seq 60); do head -c 1M /dev/urandom > f$i; sleep 0.1; done; echo filled`;
    const { stdout, reason } = await house.run(filler, { limits });
    assert.equal(stdout, "");
    assert.equal(reason, `/${root} holds more than 8 MiB`);
    await Deno.remove(join(house.root, root), { recursive: true });
    Deno.mkdirSync(join(house.root, root));
  }
});

Deno.test({
  name: "a disk filler ends before its disk is full",
  // Nobody may mount a small disk there.
  ignore: WAY === undefined,
  async fn() {
    await using disk = await openSmallDisk(64 * MIB);
    const child = toFilePath(new URL("../sandbox/wall_child.ts", import.meta.url));
    const filler = "for i in $(seq 120); do head -c 1M /dev/urandom > f$i || echo full; sleep 0.1; done; echo filled";
    const limits = JSON.stringify({ diskFloorBytes: 24 * MIB });
    const runner = disk.inside(Deno.execPath(), ["run", "-A", "--no-check", child, disk.path, limits, filler], "/");
    const { stdout } = await new Deno.Command(runner.command, { args: runner.args }).output();
    const { stdout: said, reason } = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
    assert.deepEqual([said, reason], ["", "The disk below /shared has less than 24 MiB left"]);
  },
});

Deno.test("nothing outlives its shell: not what it left behind, not what it made its own session, not after SIGKILL", async () => {
  await using house = await WallHouse.open();
  const mark = String(500_000 + Math.floor(Math.random() * 400_000));
  const leave =
    `setsid -f sleep ${mark}; (trap '' TERM HUP INT; sleep ${mark}) & disown; nohup sleep ${mark} >/dev/null 2>&1 &`;
  const first = await house.run(`${leave} exit 3`);
  assert.equal(first.code, 3);
  assert.deepEqual(findProcesses(`sleep\0${mark}`), []);
  const walled = await house.start(["/bin/bash", "-c", `${leave} echo ready; wait`]);
  const reader = walled.stdout.getReader();
  await reader.read();
  await until(() => findProcesses(`sleep\0${mark}`).length === 3);
  await walled.kill();
  assert.deepEqual(findProcesses(`sleep\0${mark}`), []);
  assert.equal((await walled.exited).code, 137);
  await Promise.all([reader.cancel(), walled.stdin.abort().catch(() => {}), walled.stderr.cancel(), walled.kill()]);
});

Deno.test("a runner that is killed takes its shells along", async () => {
  const root = Deno.makeTempDirSync({ prefix: "oxydra-wall-" });
  const mark = String(500_000 + Math.floor(Math.random() * 400_000));
  const runner = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", toFilePath(new URL("../sandbox/wall_child.ts", import.meta.url)), root, "{}", `sleep ${mark}`],
    stdout: "piped",
  }).spawn();
  const reader = runner.stdout.getReader();
  const user = new TextDecoder().decode((await reader.read()).value).trim().replace("open ", "");
  await until(() => findProcesses(`sleep\0${mark}`).length > 0);
  runner.kill("SIGKILL");
  await Promise.all([runner.status, reader.cancel()]);
  await until(() => findProcesses(`sleep\0${mark}`).length === 0);
  const tier = new BwrapTier({ user, dir: join(Deno.realPathSync(root), "run") });
  let groups = await tier.sweep(user);
  // A group goes when the last process in it is really gone, which is a moment after nobody sees it any more.
  for (let i = 0; i < 100 && groups === 0 && Deno.uid() === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    groups = await tier.sweep(user);
  }
  assert.equal(groups > 0, Deno.uid() === 0, "its control groups, where it could make any");
  Deno.removeSync(root, { recursive: true });
});

/** Waits until it is so; fails when it does not come to that. */
async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `not within 10 s: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Processes whose command line begins with these arguments. */
function findProcesses(line: string): string[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
    try {
      return /^\d+$/.test(name) && Deno.readTextFileSync(`/proc/${name}/cmdline`).startsWith(line);
    } catch {
      return false;
    }
  });
}
