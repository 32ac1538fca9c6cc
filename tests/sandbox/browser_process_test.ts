import assert from "node:assert/strict";
import { BrowserProcess } from "#/sandbox/browser_process.ts";
import type { WalledEnd, WalledProcess } from "#/sandbox/tier.ts";
import { driverPlan } from "./browser_kit.ts";

const never = new AbortController().signal;

/** A process behind walls that is a program of this machine. */
function toWalled(script: string, end: Partial<WalledEnd> = {}): WalledProcess {
  const child = new Deno.Command("bash", { args: ["-c", script], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const exited = child.status.then(({ code }) => ({ code, ...end }));
  return {
    ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, exited },
    async kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await exited;
    },
  };
}

Deno.test("BrowserProcess: no Chromium behind the walls is said with the command that installs one", async () => {
  const one = new BrowserProcess(driverPlan(), toWalled("exit 127"), () => {});
  await assert.rejects(one.ready(never), {
    code: "tier_unavailable",
    message: "No Chromium was found where the browser would run: apt-get install chromium",
  });
  assert.ok(one.isDead);
  await one.close();
});

Deno.test("BrowserProcess: what ends or says no sense is a crash with the walls' own reason, and both processes are gone", async () => {
  for (const script of ["exit 1", "printf 'no\\0'; exec sleep 60", "printf '[1,2]\\0'; exec sleep 60"]) {
    const walled = toWalled(script, { reason: "it used too much memory" });
    const one = new BrowserProcess(driverPlan(), walled, () => {});
    assert.ok(one.pid > 0);
    await assert.rejects(one.ready(never), {
      code: "tool_crashed",
      message: "The browser has ended; the next navigate starts a new one (it used too much memory)",
    });
    await walled.exited;
    await assert.rejects(one.run({ action: "tabs" }, never), { code: "tool_crashed" });
  }
});

Deno.test("BrowserProcess: a driver that says what is no frame of ours is ended", async () => {
  const walled = toWalled("exec sleep 60");
  const liar = {
    command: "bash",
    args: ["-c", "printf '\\0\\0\\0\\6\\0\\0\\0\\0\\1x'; exec sleep 60"],
    env: { PATH: "/usr/bin:/bin" },
  };
  const one = new BrowserProcess(liar, walled, () => {});
  await assert.rejects(one.run({ action: "tabs" }, never), { code: "tool_crashed" });
  await walled.exited;
});

Deno.test("BrowserProcess: a call that is cancelled ends no browser", async () => {
  const one = new BrowserProcess(driverPlan(), toWalled("exec sleep 60"), () => {});
  await assert.rejects(one.run({ action: "tabs" }, AbortSignal.abort()), { code: "cancelled" });
  assert.ok(!one.isDead);
  const waits = new AbortController();
  const running = one.run({ action: "tabs" }, waits.signal);
  waits.abort();
  await assert.rejects(running, { code: "cancelled" });
  assert.ok(!one.isDead);
  await one.close();
  assert.ok(one.isDead);
});
