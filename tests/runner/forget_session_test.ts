import assert from "node:assert/strict";
import { AppError } from "#/core/error.ts";
import { forgetSession, type SessionParts } from "#/runner/forget_session.ts";

/** Parts that write down what they were told. */
function open(over: Partial<SessionParts> = {}) {
  const said: string[] = [];
  const told = (who: string) => (session: string) => Promise.resolve(void said.push(`${who} ${session}`));
  const parts: SessionParts = {
    calls: { forget: (session) => void said.push(`calls ${session}`) },
    approvals: { forget: (session) => void said.push(`approvals ${session}`) },
    shell: { kill: told("shell") },
    browsers: { end: told("browser") },
    ...over,
  };
  return { parts, said };
}

Deno.test("forgetSession() tells every part, the calls first, also where there is no shell and no browser", async () => {
  const all = open();
  await forgetSession("s", all.parts);
  assert.deepEqual(all.said, ["calls s", "approvals s", "shell s", "browser s"]);
  const few = open({ shell: undefined, browsers: undefined });
  await forgetSession("s", few.parts);
  assert.deepEqual(few.said, ["calls s", "approvals s"]);
});

Deno.test("forgetSession() lets one that fails keep no other, and throws when all have tried", async () => {
  const full = () => {
    throw new AppError("audit_failed", "no room");
  };
  const { parts, said } = open({ approvals: { forget: full } });
  await assert.rejects(forgetSession("s", parts), { code: "audit_failed" });
  assert.deepEqual(said, ["calls s", "shell s", "browser s"]);
});

Deno.test("forgetSession() does not wait longer than it is told; what is slow ends all the same, and its failure ends no process", async () => {
  const slow = Promise.withResolvers<void>();
  const { parts } = open({ shell: { kill: () => slow.promise } });
  await forgetSession("s", parts, 1);
  slow.reject(new Error("too late for anybody"));
  await new Promise((resolve) => setTimeout(resolve));
});
