/**
 * A guest in a container that was taken over whole: in the place of Deno runs a script, so that no flag of Deno's is left, and only the
 * container's walls hold. What it finds out it says on stderr, as a guest's log lines come out.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openBox } from "../fixture/boxed.ts";
import { FileEngine, TEST_IMAGE } from "../fixture/engine.ts";
import { guestContainers, startGuestEngine } from "../fixture/guest_image.ts";
import { makeFolders } from "../fixture/workspace.ts";

const test = new FileEngine(startGuestEngine);
const { ignore } = test;
const signal = new AbortController().signal;

/** Runs a script in the place of Deno, with everything else as a guest has it, and gives what it said. */
async function attack(script: string, settings = {}, folders = makeFolders()): Promise<string> {
  const denoPath = join(Deno.makeTempDirSync({ prefix: "oxydra-evil-" }), "deno");
  Deno.writeTextFileSync(denoPath, `#!/bin/bash\nexec 1>&2\n${script}\nexit 0\n`, { mode: 0o755 });
  const { box, guest: start, log } = await openBox(test.socketPath, settings, { folders, denoPath });
  const guest = start();
  await assert.rejects(guest.listening);
  await guest.exited;
  await guest.close();
  await box.close();
  return log.filter((line) => !line.startsWith("runner:")).join("\n");
}

Deno.test({
  name:
    "a guest that was taken over finds no file of this machine but its own, no engine and no way to write elsewhere",
  ignore,
  async fn() {
    const folders = makeFolders();
    Deno.writeTextFileSync(join(folders.shared, "diary.txt"), "dear diary");
    Deno.writeTextFileSync(join(folders.audit, "audit.jsonl"), "{}");
    Deno.writeTextFileSync(join(folders.internal, "own.txt"), "own");
    const inSource = join(Deno.cwd(), `src/made-${crypto.randomUUID()}.txt`);
    const said = await attack(
      `id; ls /; cat /proc/mounts
       echo sockets: $(find / -xdev -type s 2>/dev/null); ls /var/run /run
       cat ${folders.internal}/own.txt; echo
       ls ${folders.root}; ls ${folders.run}; ls ${folders.audit}; ls ${folders.shared}; cat /etc/shadow /root/.bash_history
       echo x > ${folders.internal}/made && echo made its own
       echo x > ${folders.run}/approvals.json; echo x > /made; echo x > ${folders.run}/deno/location_data
       echo x > ${inSource}; echo x > $0; mkdir ${folders.root}/audit`,
      {},
      folders,
    );
    assert.match(said, /^own$/m);
    assert.equal(Deno.readTextFileSync(join(folders.internal, "made")), "x\n");
    assert.ok(!/dear diary|audit\.jsonl|docker\.sock|containerd/.test(said), said);
    assert.match(said, /sockets:\s*$/m);
    assert.deepEqual([...Deno.readDirSync(folders.audit)].map(({ name }) => name), ["audit.jsonl"]);
    for (const path of [join(folders.run, "approvals.json"), inSource]) {
      assert.throws(() => Deno.statSync(path), Deno.errors.NotFound, path);
    }
    assert.equal(Deno.readTextFileSync(join(folders.run, "deno/location_data")), "");
  },
});

Deno.test({
  name: "a guest that was taken over has no capability, gains none, and makes no more processes than it may",
  ignore,
  async fn() {
    const folders = makeFolders();
    const said = await attack(
      `grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status
       touch ${folders.internal}/a; chown 1001 ${folders.internal}/a && echo chowned
       mknod ${folders.internal}/disk b 8 0 && echo mknod; mount -t tmpfs none /tmp && echo mounted
       sh -c 'i=0; while [ $i -lt 100 ]; do sleep 60 & i=$((i + 1)); done'; set -- /proc/[0-9]*; echo processes $#`,
      { processesMax: 32 },
      folders,
    );
    assert.match(said, /^CapEff:\s+0+$/m);
    assert.match(said, /^CapBnd:\s+0+$/m);
    assert.match(said, /^NoNewPrivs:\s+1$/m);
    assert.match(said, /^Seccomp:\s+2$/m);
    assert.ok(!/^(chowned|mknod|mounted)$/m.test(said), said);
    assert.match(said, /can't fork/);
    assert.ok(Number(/^processes (\d+)$/m.exec(said)![1]) <= 32, said);
  },
});

Deno.test({
  name: "a neighbour in a guest's network, and a guest of another user, are not served by its gateway, token or not",
  ignore,
  async fn() {
    const { box, guest: start } = await openBox(test.socketPath);
    const startToken = "s".repeat(43);
    const guest = start({ bootstrap: { startToken } });
    const port = await guest.listening;
    const bearer = { authorization: `Bearer ${startToken}` };
    const ours = await fetch(`http://127.0.0.1:${port}/v1/models`, { headers: bearer });
    assert.equal(ours.status, 200, await ours.text());
    const none = await fetch(`http://127.0.0.1:${port}/v1/models`);
    assert.equal(none.status, 401, await none.text());
    const [id] = await guestContainers(test.engine);
    const inside = Deno.readTextFileSync(`/proc/${guest.pid}/net/fib_trie`);
    const address = /(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/.exec(inside.replace(/127\.0\.0\.1\n/g, ""))![1]!;
    const ask = `for path in healthz v1/models; do
      printf 'GET /%s HTTP/1.1\\r\\nHost: 127.0.0.1:${port}\\r\\nAuthorization: Bearer ${startToken}\\r\\nConnection: close\\r\\n\\r\\n' $path |
        nc -w 3 ${address} ${port} | head -1
    done; echo asked`;
    const other = await attack(ask);
    const workspace = (await test.engine.list({ "oxydra.role": "guest" }, signal)).find((one) => one.id === id)!.labels;
    const neighbour = await test.engine.create("neighbour", {
      image: TEST_IMAGE,
      argv: ["bash", "-c", `${ask} >&2`],
      env: {},
      user: "0:0",
      cwd: "/",
      hostname: "n",
      labels: {},
      mounts: [],
      memoryBytesMax: 0,
      processesMax: 64,
      ulimits: {},
      init: false,
      network: `oxydra-default-${workspace["oxydra.workspace"]}`,
    }, signal);
    const io = await test.engine.attach(neighbour, signal);
    await test.engine.start(neighbour, signal);
    const [near] = await Promise.all([new Response(io.stderr).text(), new Response(io.stdout).text()]);
    await test.engine.remove(neighbour, signal);
    for (const said of [other, near]) {
      assert.match(said, /asked/);
      assert.ok(!/HTTP\/1\.1 (2|401)/.test(said), said);
    }
    assert.match(other, /HTTP\/1\.1 403/, "where the engine filters nothing it gets there, and no further");
    await guest.close();
    await box.close();
  },
});

Deno.test({
  name:
    "what a guest is told and what it says is in no file of the engine, and nothing secret in what the engine shows",
  ignore,
  async fn() {
    const startToken = "canary".repeat(8);
    const { box, guest: start, folders } = await openBox(test.socketPath);
    const guest = start({ bootstrap: { startToken } });
    await guest.listening;
    const dir = join(test.socketPath, "..", "data/containers");
    const { stdout } = await new Deno.Command("grep", { args: ["-rlaE", `${startToken}|listening`, dir] }).output();
    assert.equal(new TextDecoder().decode(stdout), "");
    const { stdout: logs } = await new Deno.Command("find", { args: [dir, "-name", "*.log"] }).output();
    assert.equal(new TextDecoder().decode(logs), "", "a log that the engine keeps");
    const environ = Deno.readTextFileSync(`/proc/${guest.pid}/environ`) +
      Deno.readTextFileSync(`/proc/${guest.pid}/cmdline`);
    assert.ok(!environ.includes("canary") && !environ.includes(Deno.env.get("HOME") + "\0"));
    await guest.close();
    await box.close();
    const HTTPS_PROXY = "http://ann:canary@proxy.example:3128";
    const proxied = await openBox(test.socketPath, {}, { folders, env: { HTTPS_PROXY } });
    const refused = proxied.guest();
    await assert.rejects(
      refused.listening,
      (error: Error) => /HTTPS_PROXY/.test(error.message) && !/canary/.test(error.message),
    );
    await refused.close();
    await proxied.box.close();
  },
});
