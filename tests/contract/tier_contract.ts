import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { delay } from "#/lib/delay.ts";
import { join } from "#/lib/path.ts";
import type { TierDriver, TierLimits, WalledEnd, WalledProcess, WalledSpec } from "#/sandbox/tier.ts";

/** A user with folders, real paths, and a driver that was made for them. Inside are bash, perl and the usual programs. */
export interface TierBed {
  readonly driver: TierDriver;
  readonly user: string;
  readonly shared: string;
  readonly tmp: string;
  /** What the driver has at this moment: containers, control groups, files of its own. */
  readonly held: () => Promise<readonly string[]>;
}

/** What one command did. */
export interface Ran extends WalledEnd {
  readonly stdout: string;
  readonly stderr: string;
}

const MIB = 1_048_576;
const NO_SIGNAL = new AbortController().signal;

/** Generous ones; each test of a limit lowers its own. */
export const CONTRACT_LIMITS: TierLimits = {
  memoryBytesMax: 2 ** 30,
  processesMax: 128,
  fileBytesMax: 2 ** 28,
  cpuSecondsMax: 60,
  sharedBytesMax: 2 ** 30,
  tmpBytesMax: 2 ** 30,
  diskFloorBytes: MIB,
};

/** Opens a process of this bed's user. */
export function openIn(
  bed: TierBed,
  argv: readonly string[],
  spec: Partial<WalledSpec> = {},
  signal: AbortSignal = NO_SIGNAL,
): Promise<WalledProcess> {
  const whole = {
    id: `c-${crypto.randomUUID().slice(0, 8)}`,
    user: bed.user,
    mounts: { shared: bed.shared, tmp: bed.tmp },
    env: {},
    limits: CONTRACT_LIMITS,
    files: {},
    ...spec,
    argv,
  };
  return bed.driver.open(whole, signal);
}

/** Runs a text of bash to its end. */
export async function runIn(
  bed: TierBed,
  command: string,
  spec: Partial<WalledSpec> = {},
  input: string | Uint8Array = "",
): Promise<Ran> {
  const { stdout, stderr, ...end } = await finish(await openIn(bed, ["/bin/bash", "-c", command], spec), input);
  return { stdout: new TextDecoder().decode(stdout), stderr, ...end };
}

async function finish(walled: WalledProcess, input: string | Uint8Array) {
  const writer = walled.stdin.getWriter();
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  const written = writer.write(bytes).then(() => writer.close()).catch(() => {});
  const [stdout, stderr, end] = await Promise.all([
    new Response(walled.stdout).bytes(),
    new Response(walled.stderr).text(),
    walled.exited,
    written,
  ]);
  return { stdout, stderr, ...end };
}

/** Ends a process that nobody reads any more. */
async function drop(walled: WalledProcess): Promise<void> {
  await walled.kill();
  await Promise.all([
    walled.stdin.abort().catch(() => {}),
    walled.stdout.cancel().catch(() => {}),
    walled.stderr.cancel().catch(() => {}),
  ]);
}

/** The promises of sandbox/tier.ts's TierDriver; every implementation runs them. `withBed` opens a bed, hands it over and ends it. */
export function testTier(
  name: string,
  withBed: (body: (bed: TierBed) => Promise<void>) => Promise<void>,
  { ignore = false, skip = [] }: { readonly ignore?: boolean; readonly skip?: readonly string[] } = {},
): void {
  Deno.test({
    name: `${name} keeps every promise of a TierDriver`,
    ignore,
    async fn(t) {
      await withBed(async (bed) => {
        for (const [sentence, body] of [...STDIO, ...WALLS, ...BOUNDS, ...LIVES]) {
          await t.step({
            name: sentence,
            ignore: skip.includes(sentence),
            fn: async () => {
              await body(bed);
              await untilEmpty(bed);
            },
          });
        }
      });
    },
  });
}

/** Nothing of a step stays. */
async function untilEmpty({ held, shared, tmp }: TierBed): Promise<void> {
  const late = AbortSignal.timeout(15_000);
  while ((await held()).length > 0) {
    assert.ok(!late.aborted, `still there: ${await held()}`);
    await delay(10, late);
  }
  for (const folder of [shared, tmp]) {
    for (const { name } of Deno.readDirSync(folder)) Deno.removeSync(join(folder, name), { recursive: true });
  }
}

type Step = readonly [sentence: string, body: (bed: TierBed) => Promise<void>];

const STDIO: readonly Step[] = [
  ["stdin, stdout and stderr carry any bytes, apart from each other", async (bed) => {
    const bytes = new Uint8Array(2 * MIB);
    for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
    const walled = await openIn(bed, ["/bin/bash", "-c", "printf 'one\\ntwo' >&2; exec cat"]);
    const { stdout, stderr, code } = await finish(walled, bytes);
    assert.deepEqual([stdout.length, stderr, code], [bytes.length, "one\ntwo", 0]);
    assert.deepEqual(stdout, bytes);
  }],
  ["the end of stdin is seen inside, and what is said after it arrives", async (bed) => {
    assert.equal((await runIn(bed, "cat >/dev/null; echo after", {}, "x")).stdout, "after\n");
  }],
  ["output comes in the order in which it was written, to its last byte", async (bed) => {
    const { stdout } = await runIn(bed, "for ((i = 0; i < 20000; i++)); do echo $i; done");
    assert.equal(stdout, Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join(""));
  }],
  ["output is there before the end, and an answer to it goes in", async (bed) => {
    const walled = await openIn(bed, ["/bin/bash", "-c", "echo name?; read -r n; echo hello $n; read -r n"]);
    const [reader, writer] = [walled.stdout.pipeThrough(new TextDecoderStream()).getReader(), walled.stdin.getWriter()];
    assert.equal((await reader.read()).value, "name?\n");
    await writer.write(new TextEncoder().encode("ann\n"));
    assert.equal((await reader.read()).value, "hello ann\n");
    await writer.close();
    assert.equal((await reader.read()).done, true);
    await walled.stderr.cancel();
    assert.equal((await walled.exited).code, 1);
  }],
  ["an exit code is the program's own", async (bed) => {
    for (const code of [0, 1, 7, 255]) assert.equal((await runIn(bed, `exit ${code}`)).code, code);
  }],
  ["a program that is not there is no success", async (bed) => {
    const tried = openIn(bed, ["/no/such/program"]).then((walled) => finish(walled, ""));
    const ran = await tried.catch((error) => error);
    assert.ok(ran instanceof AppError ? ran.code === "tier_unavailable" : ran.code !== 0, String(ran));
  }],
];

const WALLS: readonly Step[] = [
  ["the environment is the spec's and four names more, whatever a value holds", async (bed) => {
    const env = { ONE: "a b", TWO: "line\nline", THREE: "", FOUR: "ä=€", HOSTNAME: "mine" };
    const { stdout } = await finish(await openIn(bed, ["/usr/bin/env"], { env }), "");
    const text = new TextDecoder().decode(stdout);
    for (const [name, value] of Object.entries(env)) assert.ok(text.includes(`${name}=${value}\n`), text);
    const names = text.split("\n").flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? []).toSorted();
    assert.deepEqual(names.filter((name) => name !== "PWD"), [
      ...["FOUR", "HOME", "HOSTNAME", "LANG", "ONE", "PATH", "TERM", "THREE", "TWO"],
    ]);
    const bare = await finish(await openIn(bed, ["/usr/bin/env"]), "");
    assert.ok(!new TextDecoder().decode(bare.stdout).includes("HOSTNAME"));
  }],
  [
    "/shared and /tmp are the user's folders, writable, by the same owner; a file of ours is there, read-only",
    async (bed) => {
      const given = join(bed.tmp, "given");
      Deno.writeTextFileSync(given, "ours");
      Deno.writeTextFileSync(join(bed.shared, "a"), "theirs");
      const script =
        "pwd; cat a /run/oxydra/given; echo >>/run/oxydra/given; echo b >/tmp/b; mkdir -p d && echo c >d/c";
      const { stdout, stderr } = await runIn(bed, script, { files: { "/run/oxydra/given": given } });
      assert.equal(stdout, "/shared\ntheirsours");
      assert.match(stderr, /given: (Read-only|Permission denied)/);
      assert.equal(Deno.readTextFileSync(given), "ours");
      assert.equal(Deno.readTextFileSync(join(bed.tmp, "b")), "b\n");
      const made = Deno.statSync(join(bed.shared, "d/c"));
      const own = Deno.statSync(bed.shared);
      assert.deepEqual([made.uid, made.gid], [own.uid, own.gid]);
    },
  ],
  ["a project's settings in a mount are neither read nor written", async (bed) => {
    for (const folder of [join(bed.shared, ".oxydra"), join(bed.tmp, "deep/er/.oxydra")]) {
      Deno.mkdirSync(folder, { recursive: true });
      Deno.writeTextFileSync(join(folder, "agent.toml"), "canary");
    }
    const script =
      "cd /; for d in /shared/.oxydra /tmp/deep/er/.oxydra; do cat $d/*; ls -A $d; echo x >$d/agent.toml; " +
      "rm -rf $d; mv $d /tmp/gone; cat /tmp/gone/*; done";
    assert.equal((await runIn(bed, script)).stdout, "");
    assert.equal(Deno.readTextFileSync(join(bed.shared, ".oxydra/agent.toml")), "canary");
    assert.equal(Deno.readTextFileSync(join(bed.tmp, "deep/er/.oxydra/agent.toml")), "canary");
  }],
  ["nothing of the system is written to, no power is held or won", async (bed) => {
    const script =
      "for f in / /etc /usr /bin /var /root /proc /sys; do (: >$f/oxydra-was-here) 2>/dev/null && echo wrote $f; done; " +
      "mknod /tmp/sda b 8 0 2>/dev/null && echo made; mkdir m; mount -t tmpfs x m 2>/dev/null && echo mounted; " +
      "chown 12345 . 2>/dev/null && echo given; grep -E '^Cap(Prm|Eff|Bnd):' /proc/self/status | tr -d '\\t'";
    const none = ["CapPrm", "CapEff", "CapBnd"].map((name) => `${name}:0000000000000000\n`).join("");
    assert.equal((await runIn(bed, script)).stdout, none);
  }],
  ["there is no network without a way out", async (bed) => {
    using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const { port } = listener.addr;
    const hosts = [
      "127.0.0.1",
      ...Deno.networkInterfaces().filter(({ family }) => family === "IPv4").map((i) => i.address),
    ];
    const script =
      `for h in ${[...new Set(hosts)].join(" ")}; do (echo >/dev/tcp/$h/${port}) 2>/dev/null && echo $h; done; ` +
      "tail -n +3 /proc/net/dev | grep -v '^ *lo:'; ls -A /run/oxydra-net 2>/dev/null; exit 0";
    assert.deepEqual(await runIn(bed, script), { stdout: "", stderr: "", code: 0 });
  }],
];

const BOUNDS: readonly Step[] = [
  ["a file stops at its bound", async (bed) => {
    await runIn(bed, "head -c 5000000 /dev/zero >a; true", { limits: { ...CONTRACT_LIMITS, fileBytesMax: MIB } });
    assert.equal(Deno.statSync(join(bed.shared, "a")).size, MIB);
  }],
  ["a memory hog does not get what it wants", async (bed) => {
    const hog = "$x = 'a' x (600 * 1048576); sleep 3; print 'has it'";
    const ran = await runIn(bed, "perl -", { limits: { ...CONTRACT_LIMITS, memoryBytesMax: 128 * MIB } }, hog);
    assert.equal(ran.stdout, "");
    assert.notEqual(ran.code, 0);
  }],
  ["a fork bomb stops at its bound, and the next shell is well", async (bed) => {
    const bomb =
      "$| = 1; while ($n < 400) { my $p = fork; last unless defined $p; if (!$p) { sleep 5; exit } $n++; } sleep 3; print $n";
    const { stdout } = await runIn(bed, "perl -", { limits: { ...CONTRACT_LIMITS, processesMax: 60 } }, bomb);
    assert.ok(stdout === "" || Number(stdout) <= 60, stdout);
    assert.equal((await runIn(bed, "echo well")).stdout, "well\n");
  }],
  ["what computes for too long ends", async (bed) => {
    const limits = { ...CONTRACT_LIMITS, cpuSecondsMax: 1 };
    const { stdout, code } = await runIn(bed, "while :; do :; done; echo done", { limits });
    assert.equal(stdout, "");
    assert.notEqual(code, 0);
  }],
  ["what fills a folder beyond its bound ends with that reason", async (bed) => {
    const filler = "for i in $(seq 100); do head -c 1000000 /dev/urandom >f$i; sleep 0.1; done; echo filled";
    const { stdout, reason } = await runIn(bed, filler, { limits: { ...CONTRACT_LIMITS, sharedBytesMax: 8 * MIB } });
    assert.equal(stdout, "");
    assert.equal(reason, "/shared holds more than 8 MiB");
  }],
];

const BEAT = "(trap '' TERM HUP INT; while :; do echo >>/shared/beat; sleep 0.02; done) & ";

const LIVES: readonly Step[] = [
  ["kill() ends all that it started, a second one waits, and the end is no success", async (bed) => {
    const walled = await openIn(bed, [
      "/bin/bash",
      "-c",
      `setsid bash -c "${BEAT} wait" & ${BEAT} trap '' TERM; echo up; wait`,
    ]);
    const reader = walled.stdout.getReader();
    await reader.read();
    await Promise.all([walled.kill(), walled.kill()]);
    assert.notEqual((await walled.exited).code, 0);
    await walled.kill();
    await Promise.all([reader.cancel(), walled.stderr.cancel(), walled.stdin.abort().catch(() => {})]);
    await isStill(bed);
  }],
  ["what it left behind ends with it", async (bed) => {
    const script =
      `setsid bash -c "${BEAT} wait" >/dev/null 2>&1 & until [ -s /shared/beat ]; do sleep 0.01; done; exit 3`;
    assert.equal((await runIn(bed, script)).code, 3);
    await isStill(bed);
  }],
  ["kill -9 -1 inside ends at most itself", async (bed) => {
    // Without a namespace of its own it would be everybody's end: it is not even tried there.
    assert.notEqual((await runIn(bed, "[ $$ -lt 100 ] || exit 0; kill -9 -1; kill -9 $$; exit 9")).code, 0);
    assert.equal((await runIn(bed, "echo well")).stdout, "well\n");
  }],
  ["kill() settles when nobody reads what it says", async (bed) => {
    const walled = await openIn(bed, ["/bin/bash", "-c", "exec cat /dev/zero"]);
    await delay(200, NO_SIGNAL);
    await drop(walled);
  }],
  ["twenty live at once, each with its own answer", async (bed) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => runIn(bed, "read -r n; echo $n $ME", { env: { ME: `${i}` } }, `${i}\n`)),
    );
    assert.deepEqual(answers.map(({ stdout }) => stdout), Array.from({ length: 20 }, (_, i) => `${i} ${i}\n`));
  }],
  ["one that is cancelled while it opens is gone", async (bed) => {
    const isCancelled = (error: unknown) => error instanceof AppError && error.code === "cancelled";
    await assert.rejects(openIn(bed, ["/bin/bash"], {}, AbortSignal.abort()), isCancelled);
    for (const ms of [0, 3, 15, 40, 80]) {
      const opening = openIn(bed, ["/bin/bash", "-c", BEAT + "wait"], {}, AbortSignal.timeout(ms));
      await opening.then(drop, (error) => assert.ok(isCancelled(error), String(error)));
    }
    await untilEmpty(bed);
  }],
  ["a second one of the same id does not harm the first", async (bed) => {
    const first = await openIn(bed, ["/bin/bash", "-c", "read -r n; echo first $n"], { id: "same" });
    const second = await openIn(bed, ["/bin/bash", "-c", "echo second"], { id: "same" }).then(
      async (walled) => new TextDecoder().decode((await finish(walled, "")).stdout),
      (error) => error.code,
    );
    assert.ok(["second\n", "tier_unavailable"].includes(second), second);
    assert.equal(new TextDecoder().decode((await finish(first, "x\n")).stdout), "first x\n");
  }],
  ["sweep() leaves what lives", async (bed) => {
    const walled = await openIn(bed, ["/bin/bash", "-c", "read -r n; echo $n"]);
    await bed.driver.sweep(bed.user);
    assert.equal(new TextDecoder().decode((await finish(walled, "here\n")).stdout), "here\n");
  }],
  ["probe() says what it is and that it can be used", async ({ driver }) => {
    const status = await driver.probe();
    assert.deepEqual([status.available, status.reason, status.about.length > 5], [true, undefined, true]);
  }],
];

/** Nothing writes into `/shared/beat` any more: its size after another shell has lived is what it was before. */
async function isStill(bed: TierBed): Promise<void> {
  const size = () => Deno.statSync(join(bed.shared, "beat")).size;
  const before = size();
  await runIn(bed, "sleep 0.2");
  assert.ok(before > 0);
  assert.equal(size(), before);
}
