import assert from "node:assert/strict";
import { join } from "node:path";
import { LogsRequest } from "#/runner/control_frames.ts";
import { followLogs } from "#/runner/follow_logs.ts";
import { openLogFile } from "#/runner/log_file.ts";
import { readLogs } from "#/runner/read_logs.ts";

Deno.test("followLogs() brings each line that comes once, over files that are made, turned and cut", async () => {
  const dir = Deno.makeTempDirSync({ prefix: "oxydra-follow-" });
  const path = join(dir, "runtime.log");
  const log = openLogFile(path, 2_600);
  log.write("before");
  const { places } = readLogs(dir, LogsRequest.parse({}), Date.now());
  const enough = new AbortController();
  const lines = followLogs(dir, places, enough.signal);
  const take = async (count: number) => {
    const taken: string[] = [];
    while (taken.length < count) taken.push((await lines.next()).value!.message);
    return taken;
  };
  log.write("first");
  assert.deepEqual(await take(1), ["first"]);
  // Turns the page once between two looks.
  const many = Array.from({ length: 50 }, (_, n) => `line ${n}`);
  for (const line of many) log.write(line);
  assert.ok(Deno.statSync(`${path}.1`).isFile);
  assert.deepEqual(await take(50), many);
  Deno.writeTextFileSync(join(dir, "daemon.stdout.log"), "half ");
  Deno.writeTextFileSync(join(dir, "daemon.stdout.log"), "a line\n", { append: true });
  assert.deepEqual(await take(1), ["half a line"]);
  Deno.writeTextFileSync(join(dir, "daemon.stdout.log"), "new\n");
  assert.deepEqual(await take(1), ["new"]);
  const next = lines.next();
  enough.abort();
  assert.equal((await next).done, true);
  log.close();
});
