import assert from "node:assert/strict";
import { CHROMIUM_INSTALL, CHROMIUM_NAMES } from "#/sandbox/browser_names.ts";
import { BROWSER_LIMITS, CHROMIUM_MISSING, planChromium, planDriver, withForwarder } from "#/sandbox/browser_plan.ts";
import { TUNNEL_PROXY } from "#/sandbox/tunnel_forward.ts";
import { LIMITS } from "#/core/limits.ts";

const input = {
  denoPath: "/deno",
  entryUrl: "file:///src/sandbox/browser.ts",
  moduleFlags: ["--cached-only"],
  pdeathsig: "/setpriv",
  env: { HOME: "/root", SECRET: "s" },
};

Deno.test("planDriver() gives no permission, or a connection to the one browser that the person runs", () => {
  const plan = planDriver(input);
  assert.deepEqual(plan.args.slice(0, 4), ["--pdeathsig", "KILL", "--", "/deno"]);
  assert.deepEqual(plan.args.filter((arg) => arg.startsWith("--allow")), []);
  assert.ok(plan.args.includes("--no-prompt") && plan.args.includes("--cached-only"));
  assert.deepEqual(plan.args.slice(-3), [input.entryUrl, "pipe", TUNNEL_PROXY]);
  assert.deepEqual(plan.env, { DENO_NO_UPDATE_CHECK: "1", HOME: "/root", NO_COLOR: "1" });
  assert.deepEqual(plan.reach[0], "connects to nothing");
  for (
    const [url, host] of [["http://127.0.0.1:9222/x", "127.0.0.1:9222"], ["http://a.b", "a.b:80"], [
      "https://[::1]",
      "[::1]:443",
    ]]
  ) {
    const { args, reach } = planDriver(input, url);
    assert.deepEqual(args.filter((arg) => arg.startsWith("--allow")), [`--allow-net=${host}`]);
    assert.deepEqual(args.slice(-2), ["socket", url]);
    assert.equal(reach[0], `connects to ${host}`);
  }
});

/** What a shell makes of the command, with programs of ours in front of all others. */
async function runShell(argv: readonly string[], programs: Readonly<Record<string, string>>, stdin = "") {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(programs)) {
      await Deno.writeTextFile(`${dir}/${name}`, `#!/bin/bash\n${text}\n`, { mode: 0o755 });
    }
    const bash = new Deno.Command("/bin/bash", {
      args: argv.slice(1),
      clearEnv: true,
      env: { PATH: dir },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const child = bash.spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("planChromium() starts the first that there is with its pipe on stdin and stdout, and no port, name or sandbox of its own", async () => {
  const argv = planChromium();
  const echo = 'read -r line <&3; echo "pipe $line" >&4; echo "log $#"; read -r line && echo "stdin"';
  for (const name of CHROMIUM_NAMES.filter((name) => name !== "chromium")) {
    const { code, out, err } = await runShell(argv, { [name]: echo }, "hello\n");
    assert.deepEqual([code, out], [1, "pipe hello\n"], name);
    assert.match(
      err,
      /^log \d+\n$/,
      "what it says goes where nobody takes it for the pipe, and nothing stands on its stdin",
    );
  }
  assert.equal((await runShell(argv, {})).code, CHROMIUM_MISSING);
  const flags = argv.slice(4);
  for (const flag of ["--remote-debugging-pipe", "--no-sandbox", "--deny-permission-prompts", "--disable-quic"]) {
    assert.ok(flags.includes(flag));
  }
  assert.ok(!flags.some((flag) => flag.startsWith("--remote-debugging-port")));
  assert.ok(!flags.some((flag) => flag.includes(TUNNEL_PROXY)), "what no page asked for finds no way out");
  assert.match(CHROMIUM_INSTALL, /install chromium/);
});

Deno.test("withForwarder() runs the command when the forwarder listens, with its own stdin and stdout, and never when it does not", async () => {
  const forwarder = { argv: ["forward", "a b", "$(x)"], files: { "/run/a": "/a" }, env: { A: "1" } };
  const { argv, ...rest } = withForwarder(["command", "c d", "*"], forwarder);
  assert.deepEqual(rest, { files: forwarder.files, env: forwarder.env });
  const command = 'read -r line; echo "$line $# $1 $2"';
  const good = await runShell(argv, {
    forward: "[ \"$1$2\" = 'a b$(x)' ] && echo ready; echo more; read -r && echo stolen",
    command,
  }, "in\n");
  assert.deepEqual(good, { code: 0, out: "in 2 c d *\n", err: "" });
  assert.equal((await runShell(argv, { forward: "exit 1", command })).code, 1);
});

Deno.test("BROWSER_LIMITS bounds memory, processes and disk of a browser", () => {
  assert.equal(BROWSER_LIMITS.memoryBytesMax, LIMITS.browserMemoryBytesMax);
  assert.equal(BROWSER_LIMITS.processesMax, LIMITS.browserProcessesMax);
  assert.equal(BROWSER_LIMITS.tmpBytesMax, LIMITS.browserDiskBytesMax);
});
