import assert from "node:assert/strict";
import { join, toFilePath } from "#/lib/path.ts";
import type { TierStatus } from "#/sandbox/tier.ts";
import { type FilterArch, toFilter } from "#/sandbox/tier_bwrap_filter.ts";
import { isAtLeast, toStatus } from "#/sandbox/tier_bwrap_probe.ts";

const CHILD = toFilePath(new URL("./wall_child.ts", import.meta.url));
const DENIED = "bubblewrap did not start: bwrap: Creating new namespace failed: Operation not permitted";
const WITH_SECCOMP = { "proc/self/status": "Name:\tx\nSeccomp:\t0\n" };

/** What is said of a trial on a host with these files. */
function judge(
  failure: string | undefined,
  files: Readonly<Record<string, string>>,
  version: string | undefined = "0.8.0",
) {
  const root = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries({ ...WITH_SECCOMP, ...files })) {
    Deno.mkdirSync(join(root, name, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, name), text);
  }
  const status = toStatus({ version, failure, notes: [] }, root);
  Deno.removeSync(root, { recursive: true });
  return status;
}

Deno.test("toStatus() names what is missing and the command that helps", () => {
  const missing = (files: Record<string, string>) => toStatusOfMissing(files);
  const cases: readonly (readonly [status: TierStatus, reason: RegExp, install: RegExp | undefined])[] = [
    [missing({ "etc/os-release": "ID=debian\n" }), /not installed/, /^sudo apt-get install bubblewrap$/],
    [missing({ "etc/os-release": 'ID=pop\nID_LIKE="ubuntu debian"\n' }), /not installed/, /apt-get/],
    [missing({ "etc/os-release": "ID=fedora\n" }), /not installed/, /^sudo dnf install bubblewrap$/],
    [missing({ "etc/os-release": "ID=arch\n" }), /not installed/, /^sudo pacman -S bubblewrap$/],
    [missing({ "etc/os-release": "ID=alpine\n" }), /not installed/, /^sudo apk add/],
    [missing({ "etc/os-release": "ID=plan9\n" }), /not installed/, /^install the package bubblewrap$/],
    [judge(DENIED, { "proc/sys/user/max_user_namespaces": "0\n" }), /max_user_namespaces = 0/, /sysctl/],
    [judge(DENIED, { "proc/sys/kernel/unprivileged_userns_clone": "0\n" }), /userns_clone = 0/, /sysctl/],
    [
      judge("bwrap: setting up uid map: Permission denied", {
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
      }),
      /AppArmor .*the restriction itself can stay/,
      /apparmor_parser -r \/etc\/apparmor\.d\/bwrap-userns-restrict$/,
    ],
    [judge("bwrap: Can't mount proc", { "proc/self/status": "Name:\tx\n" }), /without seccomp/, undefined],
    [judge("bwrap: prctl(PR_SET_SECCOMP): Invalid argument", {}), /without seccomp/, undefined],
    [judge(DENIED, { ".dockerenv": "" }), /container that may not make namespaces.*not permitted/, /profile|host/],
    [judge(DENIED, { "proc/sys/kernel/osrelease": "4.4.0-19041-Microsoft\n" }), /WSL 1/, /--set-version/],
    [judge(DENIED, { "proc/sys/kernel/osrelease": "6.6.87-microsoft-standard-WSL2\n" }), /not permitted/, undefined],
    [judge("bwrap: Unknown option --perms", {}, "0.4.1"), /0\.4\.1 is too old, 0\.5 is needed/, /newer/],
    [judge("bwrap: something new", {}), /^bwrap: something new$/, undefined],
  ];
  for (const [status, reason, install] of cases) {
    assert.equal(status.available, false);
    assert.match(status.reason!, reason);
    if (install === undefined) assert.equal(status.install, undefined);
    else assert.match(status.install!, install);
  }
});

function toStatusOfMissing(files: Record<string, string>): TierStatus {
  const root = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries(files)) {
    Deno.mkdirSync(join(root, name, ".."), { recursive: true });
    Deno.writeTextFileSync(join(root, name), text);
  }
  const status = toStatus({ version: undefined, failure: "bwrap cannot be started", notes: [] }, root);
  Deno.removeSync(root, { recursive: true });
  return status;
}

Deno.test("toStatus() of walls that stood is available, with what holds less", () => {
  assert.deepEqual(toStatus({ version: "0.9.0", failure: undefined, notes: ["a note"] }), {
    available: true,
    about: "bubblewrap 0.9.0",
    notes: ["a note"],
  });
});

Deno.test("isAtLeast() compares numbers, not text", () => {
  assert.deepEqual(["0.8.0", "0.10", "1.0", "0.7.9", "0", "", "x"].map((version) => isAtLeast(version, 0, 8)), [
    ...[true, true, true, false, false, false, false],
  ]);
});

/** What a probe says in a process that was started by this. */
async function probeUnder(command: string, args: readonly string[]): Promise<TierStatus> {
  const root = Deno.makeTempDirSync();
  const { stdout, stderr } = await new Deno.Command(command, {
    args: [...args, Deno.execPath(), "run", "-A", "--no-check", CHILD, root, "{}", "probe"],
  }).output();
  const text = new TextDecoder().decode(stdout).trim().split("\n").at(-1)!;
  assert.ok(text.startsWith("{"), `${text}${new TextDecoder().decode(stderr)}`);
  return JSON.parse(text);
}

Deno.test("BwrapTier.probe() names real denials: no bwrap, no user namespaces left, none allowed by a filter", async () => {
  const bare = await probeUnder("bwrap", [
    "--dev-bind",
    "/",
    "/",
    "--ro-bind",
    "/dev/null",
    Deno.realPathSync("/usr/bin/bwrap"),
  ]);
  assert.deepEqual([bare.available, bare.reason], [false, "bubblewrap is not installed"]);
  const none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
  const used = await probeUnder("unshare", ["--user", "--map-root-user", "sh", "-c", none, "sh"]);
  assert.deepEqual([used.available, used.reason], [
    false,
    "user namespaces are switched off (user.max_user_namespaces = 0)",
  ]);
  const filter = Deno.makeTempFileSync();
  Deno.writeFileSync(filter, toFilter(Deno.build.arch as FilterArch));
  const filtered = await probeUnder("sh", ["-c", 'f=$0; exec bwrap --dev-bind / / --seccomp 3 "$@" 3<"$f"', filter]);
  assert.equal(filtered.available, false);
  assert.match(filtered.reason!, /namespace.*(not permitted|permission)/i);
  Deno.removeSync(filter);
});
