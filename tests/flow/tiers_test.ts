/** The same agent task in each tier, in real processes, with a real engine and a model server on this machine's loopback. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { reply, text, toolCall, waitFor } from "../fake/openai_reply.ts";
import { toolResults } from "../fake/openai_scripts.ts";
import type { ChatBody, Script } from "../fake/openai_server.ts";
import { FileEngine, hasRunsc, importRoot, TEST_IMAGE } from "../fixture/engine.ts";
import { guestContainers, startGuestEngine } from "../fixture/guest_image.ts";
import {
  assertGapFree,
  endpointOf,
  read,
  Running,
  save,
  statusOf,
  waitForHealth,
  WORKSPACE,
} from "../fixture/restarting.ts";
import { toTar } from "#/sandbox/engine_tar.ts";
import { isAlive, runOxydra, waitUntil } from "../fixture/system.ts";
import { type VendorMachine, withVendorMachine } from "../fixture/vendor_machine.ts";

const test = new FileEngine(startGuestEngine);
const { ignore } = test;
const signal = new AbortController().signal;

/** Writes a file, reads it back, and quotes it. */
const task: Script = (body: ChatBody) => {
  const results = toolResults(body);
  if (results.length === 0) return reply([toolCall("file_write", { path: "/shared/tide.txt", content: "high\n" })]);
  if (results.length === 1) return reply([toolCall("file_read", { path: "/shared/tide.txt" }, { id: "call_1" })]);
  return reply([text(`The tide is ${results[1]}`)]);
};

/** A machine that finds the engine of this file. */
function withMachine(script: Script, body: (machine: VendorMachine) => Promise<void>): Promise<void> {
  return withVendorMachine(script, async (machine) => {
    const env = { ...machine.env, DOCKER_HOST: `unix://${test.socketPath}` };
    await body({ ...machine, env });
    assert.deepEqual(await test.engine.list({ "oxydra.user": "default" }, signal), [], "nothing is left behind");
  });
}

/** What a shell says of where it is, and whether it gets out: `$1` is a port that this machine listens at. */
const LOOK = (port: string) =>
  "id -u; uname -r; cat /proc/1/comm; echo / $(ls /); grep -c . /proc/mounts; grep -E ' /(shared|tmp)? ' /proc/mounts | cut -c1-70; " +
  "cat /shared/tide.txt; echo low >/shared/ebb.txt; (echo >/usr/x) 2>/dev/null && echo 'wrote /usr'; ls /root /home 2>/dev/null; " +
  `for to in 127.0.0.1/${port} 172.17.0.1/${port} 1.1.1.1/80; do (echo >/dev/tcp/$to) 2>/dev/null && echo "reached $to"; done; ` +
  "grep -hE 'NoNewPrivs|CapEff' /proc/self/status | tr '\\t' ' '; echo net $(tail -n +3 /proc/net/dev | cut -d: -f1)";

/** Writes a file with one tool, looks around with the shell, and reads what the shell wrote with another tool. */
const shellTask = (port: string): Script => (body: ChatBody) => {
  const results = toolResults(body);
  const calls = [
    () => toolCall("file_write", { path: "/shared/tide.txt", content: "high\n" }),
    () => toolCall("shell_exec", { command: LOOK(port) }, { id: "call_1" }),
    () => toolCall("file_read", { path: "/shared/ebb.txt" }, { id: "call_2" }),
  ];
  const next = calls[results.length];
  return reply([next === undefined ? text(`After it: ${results[2]}`) : next()]);
};

/** Lets the shell run unasked, in an image that this machine's own programs are in. */
async function allowShell(machine: VendorMachine, image = TEST_IMAGE, tier = "process"): Promise<void> {
  const folder = join(machine.cwd, "../home/.config/oxydra");
  await Deno.mkdir(folder, { recursive: true });
  const root = `workspace_root = "${join(machine.cwd, ".oxydra/workspaces")}"\n`;
  const runner = `${root}default_tier = "${tier}"\n[guest_images]\nshell_vm = "${image}"\n`;
  await Deno.writeTextFile(join(folder, "runner.toml"), runner);
  const rule = '[[policy.rules]]\nid = "mine:shell"\nkinds = ["shell"]\neffect = "allow"\n';
  await Deno.writeTextFile(join(folder, "agent.toml"), rule);
}

const TIERS = ["process", "container", ...(hasRunsc() ? ["micro_vm"] : [])];

for (const tier of TIERS) {
  Deno.test({
    name: `an agent writes and reads a file in the ${tier} tier, with a model server on this machine's loopback`,
    ignore,
    fn: () =>
      withMachine(task, async (machine) => {
        const { code, out, err } = await runOxydra(["run", "--json", "--tier", tier, "the tide?"], machine);
        assert.equal(code, 0, err);
        const events = assertGapFree(out);
        assert.equal(events.at(-1)!.payload.text, "The tide is high\n");
        assert.equal(read(join(machine.cwd, WORKSPACE, "shared/tide.txt")), "high\n");
        assert.ok(machine.vendor.requests.length === 3, "the vendor on 127.0.0.1 answered");
      }),
  });
}

for (const tier of TIERS) {
  Deno.test({
    name: `an agent with file and shell tools in the ${tier} tier: one folder, the tier's walls, no network`,
    ignore,
    async fn() {
      using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
      await withMachine(shellTask(`${listener.addr.port}`), async (machine) => {
        await allowShell(machine);
        const { code, out, err } = await runOxydra(["run", "--json", "--tier", tier, "the tide?"], machine);
        assert.equal(code, 0, err);
        const events = assertGapFree(out);
        const said = toolResults(machine.vendor.requests.at(-1)!.body)[1]!;
        console.log(`--- inside the ${tier} tier\n${said}`);
        assert.equal(events.at(-1)!.payload.text, "After it: low\n");
        assert.match(said, /^\[exit code 0, in \/shared\]\n/);
        assert.doesNotMatch(said, /reached|wrote/);
        for (const line of ["high", "CapEff: 0000000000000000", "net lo"]) {
          assert.ok(said.split("\n").includes(line), line);
        }
        const [, , kernel, first] = said.split("\n");
        assert.equal(kernel !== Deno.osRelease(), tier === "micro_vm", "a kernel of its own");
        assert.equal(first, tier === "process" ? "bwrap" : "docker-init", "its own process namespace");
        const log = read(join(machine.cwd, WORKSPACE, "logs/sidecar.log"));
        assert.match(log, /shell sh-[\w-]+: command 1: exit 0/);
        if (tier !== "process") assert.match(log, /oxydra-default-\w{12}-sh-[\w-]+: started from sha256:/);
      });
    },
  });
}

for (const tier of TIERS.slice(1)) {
  Deno.test({
    name: `doctor and selfcheck try the ${tier} tier of the shell, make no image and leave nothing`,
    ignore,
    fn: () =>
      withMachine(task, async (machine) => {
        await allowShell(machine, TEST_IMAGE, tier);
        const doctor = await runOxydra(["doctor", "--json"], machine);
        const { tiers, checks } = JSON.parse(doctor.out);
        const found = tiers.find(({ name }: { name: string }) => name === tier);
        assert.deepEqual([found.available, found.chosen], [true, true], doctor.out);
        assert.match(found.about, tier === "container" ? /^Docker .* \(runc\)$/ : /^Docker .* \(runsc\)$/);
        const shell = checks.find(({ name }: { name: string }) => name === "shell");
        // In a kernel of its own one try is none: namespaces there are not this machine's.
        const tries = tier === "micro_vm" ? 7 : 8;
        assert.equal(shell.detail, `${tries} tries from inside, all refused`);
        const walls = await runOxydra(["selfcheck"], machine);
        assert.match(walls.out, new RegExp(`✓ shell +${tries} tries from inside, all refused`));
        await allowShell(machine, "shell-vm:latest", tier);
        await importRoot(test.socketPath, "debian:12-slim", toTar({ nothing: new Uint8Array(1) }));
        const bare = JSON.parse((await runOxydra(["doctor", "--json"], machine)).out);
        const unmade = bare.tiers.find(({ name }: { name: string }) => name === tier);
        assert.deepEqual([unmade.available, unmade.reason], [false, "the image shell-vm:latest is not made yet"]);
        assert.equal(await test.engine.image("shell-vm:latest", signal), undefined);
      }),
  });
}

Deno.test({
  name: "a shell whose image cannot be made is absent, and status and sidecar.log say why; the agent goes on",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      await importRoot(test.socketPath, "debian:12-slim", toTar({ nothing: new Uint8Array(1) }));
      await allowShell(machine, "shell-vm:latest", "container");
      const chat = new Running(["chat"], machine);
      await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
      const { shell_available, startup_status } = await waitForHealth(machine, ({ healthy }) => healthy);
      assert.equal(shell_available, false);
      const why = startup_status.degraded_reasons!.map(({ detail }) => detail).join("\n");
      assert.match(why, /the image shell-vm:latest is not made yet \(to get it: start once in this tier/);
      const log = read(join(machine.cwd, WORKSPACE, "logs/sidecar.log"));
      assert.match(
        log,
        /building shell-vm:latest from debian:12-slim\n(.*\n)*.*the container tier: the container engine refused/,
      );
      await chat.type("the tide?");
      await chat.until(() => chat.out.includes("The tide is high"), "no answer");
      assert.ok(!JSON.stringify(machine.vendor.requests.at(-1)!.body).includes("shell_exec"), "no model is told of it");
      assert.equal(await chat.leave(), 0);
    }),
});

Deno.test({
  name: "a guest in a container: status, a second client, a killed container, and a turn that goes on after it",
  ignore,
  fn: async () => {
    const gate = Promise.withResolvers<void>();
    let calls = 0;
    const script: Script = (body) => {
      if (toolResults(body).length === 0) return reply([toolCall("file_list", { path: "/shared" })]);
      return ++calls === 1
        ? reply([text("The answer "), waitFor(gate.promise), text("is lost")])
        : reply([text("The answer is 42.")]);
    };
    await withMachine(script, async (machine) => {
      const run = new Running(["run", "--json", "--tier", "container", "what is it"], machine);
      await run.until(() => run.out.includes("swer"), "no delta");
      const status = await statusOf(machine);
      assert.deepEqual([status.state, status.tier], ["running", "container"]);
      const before = await waitForHealth(machine, ({ healthy }) => healthy);
      assert.ok(isAlive(before.runtime_pid!), "its first process, as this machine counts");
      const [id] = await guestContainers(test.engine);
      await test.engine.kill(id!, "SIGKILL", signal);
      assert.equal(await run.exited, 0, run.err);
      gate.resolve();
      const events = assertGapFree(run.out);
      assert.equal(events.at(-1)!.payload.text, "The answer is 42.");
      assert.ok(events.some(({ type }) => type === "resumed"));
      assert.match(run.log, /the guest ended: its container was killed/);
    });
  },
});

Deno.test({
  name: "run attaches to the gateway of a container that runs, in whatever tier it was asked for",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      const chat = new Running(["chat", "--tier", "container"], machine);
      await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
      const [id] = await guestContainers(test.engine);
      const { code, out } = await runOxydra(["run", "--tier", "container", "the tide?"], machine);
      assert.deepEqual([code, out.trim()], [0, "The tide is high"]);
      assert.deepEqual(await guestContainers(test.engine), [id], "no second guest");
      assert.equal(await chat.leave(), 0);
    }),
});

Deno.test({
  name: "a runner that is killed leaves a guest that ends by itself, and the next start clears it away",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      const chat = new Running(["chat", "--tier", "container"], machine);
      await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
      const { runtime_pid: guest, pid: runner } = await waitForHealth(machine, ({ healthy }) => healthy);
      Deno.kill(runner, "SIGKILL");
      await waitUntil(() => !isAlive(guest!), "the guest outlives its runner");
      await chat.leave();
      const { code, out, err } = await runOxydra(["run", "--tier", "container", "the tide?"], machine);
      assert.deepEqual([code, out.trim()], [0, "The tide is high"], err);
    }),
});

Deno.test({
  name: "a tier that cannot start is refused, names what is missing and --tier process, and lowers nothing",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      const folder = join(machine.cwd, "../home/.config/oxydra");
      await Deno.mkdir(folder, { recursive: true });
      const configure = (image: string) =>
        Deno.writeTextFile(
          join(folder, "runner.toml"),
          `default_tier = "container"\n[guest_images]\noxydra_vm = "${image}"\n`,
        );
      await configure("no-such-image:1");
      const refused = async (env: Record<string, string> = {}) => {
        const { code, err } = await runOxydra(["run", "the tide?"], { ...machine, env: { ...machine.env, ...env } });
        assert.equal(code, 2, err);
        assert.match(err, /--tier process/);
        return err;
      };
      assert.match(
        await refused(),
        /container tier cannot be started: the image no-such-image:1 is missing.*pull or build it/,
      );
      assert.match(await refused({ DOCKER_HOST: "unix:///nowhere/docker.sock" }), /nowhere\/docker\.sock/);
      assert.match(await refused({ DOCKER_HOST: "tcp://127.0.0.1:2375" }), /DOCKER_HOST must be unix/);
      assert.equal(machine.vendor.requests.length, 0);
      const { code, out } = await runOxydra(["run", "--tier", "process", "the tide?"], machine);
      assert.deepEqual([code, out.trim()], [0, "The tide is high"]);
    }),
});

Deno.test({
  name: "a gateway in a container is published where the configuration says, and by no other name",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      using taken = Deno.listen({ hostname: "127.0.0.2", port: 0 });
      const { port } = taken.addr;
      taken.close();
      const env = { ...machine.env, OXYDRA__GATEWAY__BIND: `127.0.0.2:${port}` };
      const chat = new Running(["chat", "--tier", "container"], { ...machine, env });
      await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
      const { token } = endpointOf(machine.cwd);
      const ask = async (host: string) => {
        const conn = await Deno.connect({ hostname: "127.0.0.2", port });
        const head =
          `GET /v1/models HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
        await conn.write(new TextEncoder().encode(head));
        return (await new Response(conn.readable).text()).split("\r\n")[0];
      };
      assert.equal(await ask(`127.0.0.2:${port}`), "HTTP/1.1 200 OK");
      assert.equal(await ask("evil.example"), "HTTP/1.1 403 Forbidden");
      assert.equal(await chat.leave(), 0);
    }),
});

Deno.test({
  name: "an edit of the tier is for the next start: the runner that lives keeps its walls and says so",
  ignore,
  fn: () =>
    withMachine(task, async (machine) => {
      const folder = join(machine.cwd, "../home/.config/oxydra");
      await Deno.mkdir(folder, { recursive: true });
      const root = `workspace_root = "${join(machine.cwd, ".oxydra/workspaces")}"\n`;
      const configure = (tier: string) => save(join(folder, "runner.toml"), `${root}default_tier = "${tier}"\n`);
      configure("container");
      const chat = new Running(["chat"], machine);
      await chat.until(() => chat.err.includes("fake/fake-1"), "no greeting");
      const ids = await guestContainers(test.engine);
      configure("process");
      const { config, sandbox_tier } = await waitForHealth(machine, ({ config }) => config.note !== "");
      assert.match(config.note, /sandbox_tier/);
      assert.equal(sandbox_tier, "container");
      assert.deepEqual(await guestContainers(test.engine), ids);
      assert.equal(await chat.leave(), 0);
    }),
});
