/** What the restart of a guest, and a configuration that is read again while it runs, open to whom. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startHostile } from "../fixture/hostile_guest.ts";
import { Running, save, says, waitForHealth, withPerson } from "../fixture/restarting.ts";
import { isAlive, runOxydra, waitUntil } from "../fixture/system.ts";

Deno.test("a guest that says twice where it listens is killed, and its first address stays", async () => {
  const log: string[] = [];
  await using hostile = await startHostile(
    `
    const ports = [0, 0].map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }).addr.port);
    say(ports);
    for (const port of ports) send(0, notice({ type: "listening", port }));
    for (;;) next();`,
    (line) => log.push(line),
  );
  const [ports] = await hostile.said(1) as [number[]];
  assert.equal(await hostile.guest.listening, ports[0]);
  await waitUntil(() => !isAlive(hostile.guest.pid), "it lives on");
  assert.match(log.join("\n"), /link ended: the guest says twice where it listens/);
});

Deno.test("a guest that never says that it is drained is not waited for", async () => {
  await using hostile = await startHostile(`
    send(0, notice({ type: "turns", count: 1_000_000 }));
    say("ready");
    for (;;) next();`);
  await hostile.said(1);
  await hostile.guest.drain(1);
  assert.ok(isAlive(hostile.guest.pid));
});

Deno.test("a folder that plants a configuration while it runs widens nothing, until the person trusts this very file", async () => {
  await withPerson(["a"], says, async (machine) => {
    const { cwd } = machine;
    const chat = new Running(["chat"], machine);
    await chat.until(() => chat.err.includes("a/m"), "no greeting");
    const { pid } = chat.guest()!;
    await Deno.mkdir(join(cwd, ".oxydra"), { recursive: true });
    const planted = join(cwd, ".oxydra/agent.toml");
    const allow = (what: string) =>
      `[[policy.rules]]\nid = "all"\nkinds = ["${what}"]\nunder = "/shared"\neffect = "allow"\n`;
    save(planted, allow("fs.read"));
    const refused = await waitForHealth(machine, ({ config }) => config.state === "refused");
    assert.match(refused.config.note, /\.oxydra\/agent\.toml:1: policy.*oxydra trust/s);
    const trusted = await runOxydra(["trust", planted], machine);
    assert.equal(trusted.code, 0, trusted.err);
    await waitForHealth(machine, ({ config }) => config.state === "in_force");
    assert.match(chat.log, /changes: policy/);
    save(planted, allow("fs.write"));
    const again = await waitForHealth(machine, ({ config }) => config.state === "refused");
    assert.match(again.config.note, /oxydra trust/);
    assert.equal(chat.guest()!.pid, pid);
    assert.equal((await runOxydra(["reload"], machine)).code, 2);
    Deno.removeSync(planted);
    await waitForHealth(machine, ({ config }) => config.state === "in_force");
    const reloaded = await runOxydra(["reload"], machine);
    assert.deepEqual([reloaded.code, reloaded.out], [0, "the configuration is in force\n"], reloaded.err);
    assert.equal(await chat.leave(), 0, chat.err);
  });
});
