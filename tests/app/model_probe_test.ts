/** src/app/model_probe.ts in a process of its own, with exactly the flags of its plan. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { writeGuestLock } from "#/runner/guest_lock.ts";
import { planModelProbe } from "#/runner/plan_model_probe.ts";
import { ProbeAnswer, ProbeQuestion } from "#/app/model_probe_frames.ts";
import { reply, text } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { denoEnv } from "../fixture/system.ts";
import { makeFolders, thisProgram } from "../fixture/workspace.ts";

const MODEL = { provider: "acme", type: "openai", model: "m", extraHeaders: {}, reason: "" } as const;

async function probe(question: unknown, host = "127.0.0.1:9"): Promise<ProbeAnswer> {
  const lockPath = join(makeFolders().run, "guest.lock");
  await writeGuestLock(thisProgram(), lockPath);
  const plan = planModelProbe({ program: thisProgram(), env: denoEnv(), lockPath, host });
  const child = new Deno.Command(plan.command, {
    args: [...plan.args],
    clearEnv: true,
    env: { ...plan.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  await new Blob([JSON.stringify(question)]).stream().pipeTo(child.stdin);
  const lines = new TextDecoder().decode((await child.output()).stdout).split("\n");
  assert.equal(lines.length, 2, "one line");
  return ProbeAnswer.parse(JSON.parse(lines[0]!));
}

Deno.test("model_probe lists models and says what one said", async () => {
  const vendor = await startFakeOpenAi(() => reply([text("O"), text("K")]), { models: ["m"] });
  const model = { ...MODEL, baseUrl: vendor.url };
  const host = `127.0.0.1:${vendor.port}`;
  assert.deepEqual(await probe({ ask: "models", model }, host), { ok: true, models: ["m"] });
  assert.deepEqual(await probe({ ask: "reply", model }, host), { ok: true, text: "OK" });
  const elsewhere = await probe({ ask: "reply", model });
  assert.ok(!elsewhere.ok && elsewhere.code === "provider_unavailable" && /--allow-net/.test(elsewhere.message));
  await vendor.close();
});

Deno.test("model_probe answers what it cannot do with a code, and nothing of a stranger's error", async () => {
  const nobody = { ...MODEL, baseUrl: "http://127.0.0.1:9" };
  const cases = [
    [{ ask: "models", model: nobody }, "provider_unavailable"],
    [{ ask: "reply", model: nobody }, "provider_unavailable"],
    [{ ask: "reply", model: { ...MODEL, type: "demo" } }, "usage"],
    [{ ask: "everything", model: MODEL }, "internal"],
    ["", "internal"],
  ] as const;
  for (const [question, code] of cases) {
    const answer = await probe(question);
    assert.ok(!answer.ok, JSON.stringify(question));
    assert.equal(answer.code, code);
    assert.ok(!answer.message.includes("\n    at "));
  }
});

Deno.test("ProbeQuestion is strict", () => {
  assert.ok(ProbeQuestion.safeParse({ ask: "models", model: MODEL }).success);
  assert.ok(!ProbeQuestion.safeParse({ ask: "models", model: MODEL, also: 1 }).success);
});
