import assert from "node:assert/strict";
import { type Answered, answerQuestions, type Judge } from "#/cli/posture_questions.ts";
import { DEFAULT_POLICY } from "#/sandbox/default_policy.ts";
import { openPolicy } from "#/sandbox/policy.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";
import { toTools } from "#/tools/registry.ts";

async function ask(rules: readonly PolicyRule[] = [], judge: Partial<Judge> = {}): Promise<readonly Answered[]> {
  const policy = await openPolicy([rules, DEFAULT_POLICY]);
  return answerQuestions({
    user: "default",
    policy,
    tools: toTools(),
    secrets: [],
    listed: [],
    mode: "default",
    ...judge,
  });
}

function find(answered: readonly Answered[], question: string, afterPrivate = false): readonly [string, string] {
  const found = answered.find((one) => one.question === question && one.afterPrivate === afterPrivate);
  assert.ok(found, question);
  return [found.answer, found.rule];
}

Deno.test("answerQuestions() says what the policy that ships says", async () => {
  const answered = await ask();
  const expected: readonly (readonly [string, string, string])[] = [
    ["reads a file in /shared", "allowed", "default:read /shared"],
    ["writes a file in /tmp", "allowed", "default:write /tmp"],
    ["lists the vault", "asks the owner", "default:vault"],
    ["reads a file in the vault", "asks the owner", "default:vault"],
    ["writes a file in the vault", "denied", "none"],
    ["copies a file out of the vault", "asks the owner", "default:vault"],
    ["reads any other file here", "denied", "the tool: path_outside"],
    ["fetches a public page", "allowed", "default:web"],
    ["sends data (POST) to a public host", "asks the owner", "default:web methods"],
    ["asks a public host at port 8080", "asks the owner", "default:web ports"],
    ["asks this machine (127.0.0.1)", "denied", "egress: loopback address"],
    ["asks your network (192.168.1.1)", "denied", "egress: private address"],
    ["runs a command", "denied", "there is no such tool"],
  ];
  for (const [question, ...answer] of expected) assert.deepEqual(find(answered, question), answer, question);
  assert.deepEqual(find(answered, "fetches a public page", true), ["asks the owner", "default:web after private"]);
});

Deno.test("answerQuestions() follows a person's own rules, and whom they let answer", async () => {
  const answered = await ask([
    { id: "no web", kinds: ["http"], hosts: ["*"], effect: "deny" },
    { id: "vault", kinds: ["fs.read"], under: "/vault", effect: "ask", answer: "relayed" },
    { id: "dice", kinds: ["random"], effect: "deny" },
  ]);
  assert.deepEqual(find(answered, "reads a file in the vault"), ["asks anyone", "vault"]);
  assert.deepEqual(find(answered, "lists the vault"), ["asks the owner", "default:vault"]);
  assert.deepEqual(find(answered, "fetches a public page"), ["denied", "no web, dice"]);
});

Deno.test("answerQuestions() denies what only needs a need beside the point, when that is denied", async () => {
  const answered = await ask([{ id: "dice", kinds: ["random"], effect: "deny" }]);
  assert.deepEqual(find(answered, "fetches a public page"), ["denied", "dice"]);
});

Deno.test("answerQuestions() counts the allowlist and strict mode: what the way out refuses is not allowed", async () => {
  const listed = await ask([], { listed: ["192.168.1.1:80"] });
  assert.deepEqual(find(listed, "asks your network (192.168.1.1)"), ["allowed", "default:web"]);
  assert.equal(find(listed, "asks this machine (127.0.0.1)")[0], "denied");
  const strict = await ask([], { mode: "strict" });
  assert.deepEqual(find(strict, "fetches a public page"), ["denied", "egress_mode strict"]);
  assert.deepEqual(find(strict, "sends data (POST) to a public host"), ["denied", "egress_mode strict"]);
});

Deno.test("answerQuestions() asks for each secret", async () => {
  const answered = await ask([], { secrets: [{ name: "forge", hosts: ["git.example.com"] }] });
  assert.deepEqual(find(answered, "spends the secret forge"), ["asks the owner", "default:secret"]);
});
