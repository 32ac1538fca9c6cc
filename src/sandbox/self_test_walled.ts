import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { concatBytes } from "#/lib/bytes.ts";
import { join } from "#/lib/path.ts";
import type { WallFinding } from "#/sandbox/self_test_process.ts";
import type { TierDriver } from "#/sandbox/tier.ts";

/** What a process behind walls is tried with. */
export interface WalledTrial {
  readonly user: string;
  /** A folder of the runner's own, 0700: what is tried behind the walls lives below it for a moment. A real path. */
  readonly dir: string;
}

/** What is tried is small, and over at once. */
const TRIAL_LIMITS = {
  memoryBytesMax: 536_870_912,
  processesMax: 32,
  fileBytesMax: 1_048_576,
  cpuSecondsMax: 5,
  sharedBytesMax: 1_048_576,
  tmpBytesMax: 1_048_576,
  diskFloorBytes: 0,
};

/**
 * Attacks a tier from inside, in any image with a POSIX shell: each line tells what came of one try. `$1` is a file of the host, `$2` the
 * runner's process id, `$3` a port that something listens at on the host's loopback, `$4` the tier: a kernel of its own may make namespaces, which are
 * none of the host's, and need not say that no power is won where there is none to win. Where a wall does not hold a try succeeds on this very
 * machine: none may change more than a name of its own, and each undoes it.
 */
const ATTACK = `
say() { printf '%s\\t%s\\n' "$1" "$(printf %s "$2" | tr '\\n\\t' '  ' | cut -c1-80)"; }
say 'read a file of this machine' "$(cat "$1" 2>/dev/null)"
say 'see a process of this machine' "$(tr '\\0' ' ' < "/proc/$2/cmdline" 2>/dev/null)"
say 'signal a process of this machine' "$(kill -0 "$2" 2>/dev/null && echo done)"
say 'write into the system' "$( (: > /usr/oxydra-self-test) 2>/dev/null && rm -f /usr/oxydra-self-test && echo done)"
[ "$4" = micro_vm ] || say 'make namespaces of its own' "$(unshare -U true 2>/dev/null && echo done)"
say 'mount a file system' "$(d=$(mktemp -d) && mount -t tmpfs none "$d" 2>/dev/null && umount "$d" && echo done; rmdir "$d" 2>/dev/null)"
say 'take the rights of root' "$(grep -q 'NoNewPrivs:.*1' /proc/self/status ||
  { [ "$4" = micro_vm ] && grep -q 'CapBnd:.*0000000000000000' /proc/self/status; } || echo 'no_new_privs is off')"
bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0"' "$3" 2>/dev/null ||
  wget -q -T 1 -O - "http://127.0.0.1:$3/" >/dev/null 2>&1
say 'end' ''
`;

/**
 * Attacks a tier's walls for a moment, from inside and with a process as a shell would be. Throws AppError `self_test_failed` when it cannot be
 * tried, `tier_unavailable`, `cancelled`.
 */
export async function tryWalled(
  driver: TierDriver,
  trial: WalledTrial,
  signal: AbortSignal,
): Promise<readonly WallFinding[]> {
  const secret = `secret-${crypto.randomUUID()}`;
  const canary = join(trial.dir, secret);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let reached = 0;
  const counted = (async () => {
    for await (const connection of listener) {
      reached++;
      connection.close();
    }
  })();
  try {
    Deno.writeTextFileSync(canary, secret);
    const args = [canary, `${Deno.pid}`, `${listener.addr.port}`, driver.name];
    const said = await runWalled(driver, trial, ["sh", "-c", ATTACK, "sh", ...args], signal);
    const lines = said.split("\n").map((line) => line.split("\t"));
    // What was not tried to its end is not known to hold.
    if (lines.at(-2)?.[0] !== "end") {
      throw new AppError("self_test_failed", "the walls of the shell could not be tried to the end");
    }
    const tries = lines.slice(0, -2).map(([tried = "", got = ""]) => ({
      tried,
      held: got === "",
      detail: got === "" ? "refused" : got,
    }));
    const detail = reached === 0 ? "refused" : "a server of this machine was reached";
    return [...tries, { tried: "connect to this machine", held: reached === 0, detail }];
  } finally {
    listener.close();
    await counted.catch(() => {});
    Deno.removeSync(canary);
  }
}

/** The first of these programs that is found behind a tier's walls, as a path there. Throws as `tryWalled`. */
export async function findWalled(
  driver: TierDriver,
  trial: WalledTrial,
  names: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const script = 'for name; do command -v "$name" && break; done; true';
  return (await runWalled(driver, trial, ["sh", "-c", script, "sh", ...names], signal)).trim() || undefined;
}

/** What a process writes to its stdout behind the walls. */
async function runWalled(
  driver: TierDriver,
  { user, dir }: WalledTrial,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const own = Deno.makeTempDirSync({ dir, prefix: "self-test-" });
  const mounts = { shared: join(own, "shared"), tmp: join(own, "tmp") };
  const until = AbortSignal.any([signal, AbortSignal.timeout(LIMITS.walledTrialMs)]);
  try {
    Deno.mkdirSync(mounts.shared);
    Deno.mkdirSync(mounts.tmp);
    const id = `self-test-${crypto.randomUUID().slice(0, 8)}`;
    const walled = await driver.open({ id, user, mounts, env: {}, limits: TRIAL_LIMITS, argv, files: {} }, until);
    const end = () => void walled.kill();
    until.addEventListener("abort", end, { once: true });
    try {
      await walled.stdin.close().catch(() => {});
      void walled.stderr.cancel();
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of walled.stdout) {
        bytes += chunk.length;
        if (bytes > LIMITS.selfCheckBytesMax) break;
        chunks.push(chunk);
      }
      return new TextDecoder().decode(concatBytes(chunks));
    } finally {
      until.removeEventListener("abort", end);
      await walled.kill();
    }
  } finally {
    Deno.removeSync(own, { recursive: true });
  }
}
