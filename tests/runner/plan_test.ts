import assert from "node:assert/strict";
import { planClient } from "#/runner/plan_client.ts";
import { planTui } from "#/runner/plan_tui.ts";
import { planGuest } from "#/runner/plan_guest.ts";
import {
  configPath,
  planBare,
  type Program,
  toChildEnv,
  toFlagPath,
  toModuleFlags,
  withParentDeath,
} from "#/runner/process_plan.ts";

const FILE: Program = { srcUrl: "file:///app/src/", source: "file", denoPath: "/bin/deno", setprivPath: null };
const URL_PROGRAM: Program = {
  srcUrl: "http://127.0.0.1:8000/src/",
  source: "url",
  denoPath: "/bin/deno",
  setprivPath: "/usr/bin/setpriv",
};
const GUEST = {
  program: FILE,
  env: {},
  internalDir: "/w/u/internal",
  lockPath: "/w/u/run/guest.lock",
  port: 0,
  hosts: ["api.openai.com:443"],
};

Deno.test("planGuest() opens one folder, its own address and the model host, and nothing else", () => {
  const { args } = planGuest(GUEST);
  assert.deepEqual(args.filter((arg) => arg.startsWith("--allow")), [
    "--allow-read=/w/u/internal",
    "--allow-write=/w/u/internal",
    "--allow-net=127.0.0.1:0,api.openai.com:443",
  ]);
  for (const flag of ["--no-prompt", "--cached-only", "--frozen", "--no-remote", "--lock=/w/u/run/guest.lock"]) {
    assert.ok(args.includes(flag), flag);
  }
  assert.ok(
    !args.some((arg) => /^--allow-(run|ffi|env|sys|all|import|scripts)|^-A$|^--no-lock$/.test(arg)),
    args.join(" "),
  );
});

Deno.test("planGuest() from a URL takes modules from its own host only and is not frozen", () => {
  const { command, args } = planGuest({ ...GUEST, program: URL_PROGRAM });
  assert.equal(command, "/usr/bin/setpriv");
  assert.deepEqual(args.slice(0, 4), ["--pdeathsig", "KILL", "--", "/bin/deno"]);
  for (const flag of ["--no-config", "--allow-import=127.0.0.1:8000", "--cached-only"]) {
    assert.ok(args.includes(flag), flag);
  }
  assert.ok(!args.includes("--frozen") && !args.includes("--no-remote"));
});

Deno.test("planGuest() denies private ranges, and lifts only the one that a configured address lies in", () => {
  const denied = (hosts: readonly string[]) =>
    planGuest({ ...GUEST, hosts }).args.find((arg) => arg.startsWith("--deny-net="))!.slice(11).split(",");
  const all = denied([]);
  assert.ok(all.includes("10.0.0.0/8") && all.includes("169.254.0.0/16") && all.includes("224.0.0.0/4"));
  assert.ok(!all.some((range) => range.startsWith("127.")), "the gateway listens on loopback");
  assert.deepEqual(all.filter((range) => !denied(["10.1.2.3:8080"]).includes(range)), ["10.0.0.0/8"]);
  assert.deepEqual(all.filter((range) => !denied(["172.31.0.1:1"]).includes(range)), ["172.16.0.0/12"]);
  assert.deepEqual(denied(["172.32.0.1:1"]), all);
  assert.deepEqual(denied(["host.example:1", "[fd00::1]:443"]), all);
});

Deno.test("planClient() reaches one port, one socket, one file and the terminal, without packages and without environment", () => {
  const { args, env } = planClient({
    program: FILE,
    env: { HOME: "/h", OPENAI_API_KEY: "sk-x", TERM: "xterm" },
    port: 4711,
    endpointPath: "/w/u/ipc/gateway-endpoint",
    controlPath: "/c/s.sock",
  }, ["{}"]);
  assert.deepEqual(args.filter((arg) => arg.startsWith("--allow")), [
    "--allow-net=127.0.0.1:4711,unix:/c/s.sock",
    "--allow-read=/w/u/ipc/gateway-endpoint,/c/s.sock,/dev/tty",
    "--allow-write=/c/s.sock",
  ]);
  for (const flag of ["--no-prompt", "--no-npm", "--cached-only", "--no-remote"]) assert.ok(args.includes(flag), flag);
  assert.deepEqual(env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h" });
  assert.equal(args.at(-1), "{}");
});

Deno.test("planClient() may write into the folder that the person named, and into no other", () => {
  const input = { program: FILE, env: {}, port: 4711, endpointPath: "/e", controlPath: "/c/s.sock" };
  const { args, reach } = planClient({ ...input, saveMedia: "/p/ann/pictures" }, []);
  assert.deepEqual(args.filter((arg) => arg.startsWith("--allow-write")), [
    "--allow-write=/c/s.sock,/p/ann/pictures",
  ]);
  assert.match(reach.at(-1)!, /new files into \/p\/ann\/pictures/);
  assert.throws(() => planClient({ ...input, saveMedia: "/p/ann,/etc" }, []), { code: "config_invalid" });
});

Deno.test("planClient() of a gateway elsewhere reaches exactly that host and port, and knows whom to trust for TLS", () => {
  const env = { HOME: "/h", DENO_CERT: "/c.pem", OPENAI_API_KEY: "sk-x" };
  const input = { program: FILE, env, port: 0, remote: "example.org:443", endpointPath: "/e", controlPath: "" };
  const plan = planClient(input, []);
  assert.deepEqual(plan.args.filter((arg) => arg.startsWith("--allow")), [
    "--allow-net=example.org:443",
    "--allow-read=/e,/dev/tty",
  ]);
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h", DENO_CERT: "/c.pem" });
  assert.ok(plan.reach.some((line) => line.includes("example.org:443")));
  assert.ok(!plan.reach.some((line) => line.includes("runner")));
});

Deno.test("planTui() reaches what the other client does, has its packages from the lock, and reads two constants of the environment", () => {
  const env = { HOME: "/h", OPENAI_API_KEY: "sk-x", TERM: "xterm", CI: "1", DENO_CERT: "/c.pem", NODE_ENV: "evil" };
  const input = {
    program: FILE,
    env,
    port: 4711,
    endpointPath: "/e",
    controlPath: "/c/s.sock",
    lockPath: "/w/guest.lock",
  };
  const plan = planTui(input, ["{}"]);
  assert.deepEqual(plan.args.filter((arg) => arg.startsWith("--allow") || arg.startsWith("--ignore")), [
    "--ignore-env",
    "--allow-env=NODE_ENV,FORCE_COLOR",
    "--allow-net=127.0.0.1:4711,unix:/c/s.sock",
    "--allow-read=/e,/c/s.sock",
    "--allow-write=/c/s.sock",
  ]);
  const flags = ["--no-prompt", "--cached-only", "--lock=/w/guest.lock", "--frozen", "--no-remote"];
  for (const flag of flags) assert.ok(plan.args.includes(flag), flag);
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/h", NODE_ENV: "production", FORCE_COLOR: "1" });
  assert.deepEqual(plan.args.slice(-2), [new URL("cli/tui.ts", FILE.srcUrl).href, "{}"]);
  const killed = planTui({ ...input, program: { ...FILE, setprivPath: "/usr/bin/setpriv" } }, []);
  assert.deepEqual([killed.command, killed.args.slice(0, 3)], ["/usr/bin/setpriv", ["--pdeathsig", "TERM", "--"]]);
});

Deno.test("every plan says in words what its flags open", () => {
  assert.ok(planGuest(GUEST).reach.some((line) => line.includes("/w/u/internal")));
  assert.ok(planGuest(GUEST).reach.some((line) => line.includes("api.openai.com:443")));
  assert.ok(planGuest({ ...GUEST, hosts: [], port: 9 }).reach.some((line) => line.includes("no host")));
  assert.ok(
    planClient({ program: FILE, env: {}, port: 4711, endpointPath: "/e", controlPath: "/c/s.sock" }, []).reach.some((
      line,
    ) => line.includes("4711")),
  );
});

Deno.test("toChildEnv() makes the environment new", () => {
  const env = {
    DENO_DIR: "/d",
    HOME: "",
    OPENAI_API_KEY: "sk",
    LD_PRELOAD: "/evil.so",
    DENO_PERMISSION_BROKER_PATH: "/evil.sock",
    HTTPS_PROXY: "http://p",
  };
  assert.deepEqual(toChildEnv(env), { DENO_NO_UPDATE_CHECK: "1", DENO_DIR: "/d", HTTPS_PROXY: "http://p" });
});

Deno.test("toModuleFlags() and withParentDeath() say where modules come from and who dies with whom", () => {
  assert.deepEqual(toModuleFlags(FILE, "/l").slice(0, 3), ["--no-prompt", "--cached-only", "--lock=/l"]);
  assert.deepEqual(withParentDeath(FILE, ["run"]), { command: "/bin/deno", args: ["run"] });
});

Deno.test("toFlagPath() refuses a comma, which would open a second path", () => {
  assert.equal(toFlagPath("/w/a b"), "/w/a b");
  assert.throws(() => toFlagPath("/w/a,/etc"), { code: "config_invalid" });
  assert.throws(() => planGuest({ ...GUEST, internalDir: "/w,/internal" }), { code: "config_invalid" });
  assert.throws(
    () => planClient({ program: FILE, env: {}, port: 1, endpointPath: "/w,/e", controlPath: "/c/s.sock" }, []),
    {
      code: "config_invalid",
    },
  );
});

Deno.test("planBare() gives a process its flags, its words and where Deno's cache is, and nothing else", () => {
  const env = { DENO_DIR: "/cache", OPENAI_API_KEY: "k" };
  const of = { name: "log reader", flags: ["--allow-read=/w"], words: ["a", "b"], reach: ["reads /w"] } as const;
  const plan = planBare({ program: FILE, env }, "cli/log_reader.ts", of);
  assert.deepEqual([plan.name, plan.reach, plan.command], ["log reader", ["reads /w"], "/bin/deno"]);
  assert.deepEqual(plan.args.filter((arg) => arg.startsWith("--allow")), ["--allow-read=/w"]);
  assert.deepEqual(plan.args.slice(-3), ["file:///app/src/cli/log_reader.ts", "a", "b"]);
  assert.deepEqual(plan.env, { DENO_DIR: "/cache", DENO_NO_UPDATE_CHECK: "1" });
});

Deno.test("configPath() is a path, not a URL: blanks stay blanks", () => {
  assert.equal(configPath({ ...FILE, srcUrl: "file:///my%20app/src/" }), "/my app/deno.json");
});

Deno.test("planGuest() of a container opens its one port on all its addresses, and lifts no range but theirs", () => {
  const { args } = planGuest({ ...GUEST, port: 4_000, hostname: "0.0.0.0", hosts: ["172.30.0.1:11434"] });
  assert.ok(args.includes("--allow-net=0.0.0.0:4000,172.30.0.1:11434"));
  const denied = args.find((arg) => arg.startsWith("--deny-net="))!.slice(11).split(",");
  assert.ok(!denied.includes("0.0.0.0/8") && !denied.includes("172.16.0.0/12"));
  for (const range of ["10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"]) assert.ok(denied.includes(range), range);
});
