import assert from "node:assert/strict";
import { join } from "node:path";
import { runLogs, toRequest, toText } from "#/cli/logs.ts";
import type { LogsOptions } from "#/cli/options.ts";
import { denoEnv, makeMachine } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

const OPTIONS: LogsOptions = { role: "runtime", stream: "both", format: "text" };

Deno.test("toRequest() means what the flags say: 200 lines for --tail alone and without it", () => {
  const base = { role: "runtime", stream: "both", format: "text" };
  assert.deepEqual(toRequest(OPTIONS), { ...base, tail: 200 });
  assert.deepEqual(toRequest({ ...OPTIONS, tail: true }), { ...base, tail: 200 });
  assert.deepEqual(toRequest({ ...OPTIONS, tail: "7", since: "15m" }), { ...base, tail: 7, since: "15m" });
  for (const tail of ["", "-1", "x", "1.5", "1e3", "99999999999"]) {
    assert.throws(() => toRequest({ ...OPTIONS, tail }), { code: "usage" }, tail);
  }
});

Deno.test("toText() is the reference's line", () => {
  const entry = { source: "docker_api", role: "runtime", stream: "stderr", message: "text" } as const;
  assert.equal(toText(entry), "- [docker_api][runtime][stderr] text");
  assert.equal(
    toText({ ...entry, timestamp: "2030-01-31T18:00:00Z" }),
    "2030-01-31T18:00:00Z [docker_api][runtime][stderr] text",
  );
});

Deno.test("runLogs() prints what the files have though nothing runs, as text and as JSON, and what it leaves out", async () => {
  const { cwd, env } = await makeMachine();
  using realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  assert.equal(await runLogs(OPTIONS), 0);
  assert.match(realm.err(), /no such line in .*logs\n$/);
  const logs = join(cwd, ".oxydra/workspaces/default/logs");
  Deno.mkdirSync(logs, { recursive: true });
  Deno.writeTextFileSync(join(logs, "runtime.log"), "2030-01-31T18:00:00Z one\n2030-01-31T18:00:01Z two\n");
  assert.equal(
    await printed(() => runLogs({ ...OPTIONS, tail: "1" })),
    "2030-01-31T18:00:01Z [process_file][runtime][stderr] two\n",
  );
  assert.match(realm.err(), /older lines are left out; --tail takes up to 1000\n$/);
  const json = await printed(() => runLogs({ ...OPTIONS, role: "all", format: "json", since: "2030-01-31T18:00:00Z" }));
  assert.deepEqual(json.trim().split("\n").map((line) => JSON.parse(line).message), ["one", "two"]);
  assert.match(realm.err(), /no sidecar has written anything here\n$/);
  await assert.rejects(runLogs({ ...OPTIONS, since: "nonsense" }), { code: "usage" });
});

Deno.test("runLogs() ends quietly when nobody reads it any more", async () => {
  const { cwd, env } = await makeMachine();
  using _realm = enterRealm({ cwd, env: { ...denoEnv(), ...env } });
  const logs = join(cwd, ".oxydra/workspaces/default/logs");
  Deno.mkdirSync(logs, { recursive: true });
  Deno.writeTextFileSync(join(logs, "runtime.log"), "one\ntwo\n");
  let writes = 0;
  const code = await withStdout(() => {
    writes++;
    throw new Deno.errors.BrokenPipe("gone");
  }, () => runLogs({ ...OPTIONS, follow: true }));
  assert.deepEqual([code, writes], [0, 1]);
});

async function printed(work: () => Promise<number>): Promise<string> {
  let text = "";
  assert.equal(
    await withStdout((bytes) => {
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    }, work),
    0,
  );
  return text;
}

async function withStdout(write: (bytes: Uint8Array) => number, work: () => Promise<number>): Promise<number> {
  const before = Deno.stdout.writeSync;
  Deno.stdout.writeSync = write;
  try {
    return await work();
  } finally {
    Deno.stdout.writeSync = before;
  }
}
