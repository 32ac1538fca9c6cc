import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Secret } from "#/lib/secret.ts";

Deno.test("Secret gives its value to reveal() and to nobody else", () => {
  const secret = new Secret("sk-very-secret");
  assert.equal(secret.reveal(), "sk-very-secret");
  const shown = [
    `${secret}`,
    String(secret),
    "" + secret,
    JSON.stringify({ secret }),
    Deno.inspect(secret),
    Deno.inspect({ deep: [{ secret }] }, { depth: 9, showHidden: true }),
    inspect(secret, { showHidden: true }),
    inspect({ secret }),
    JSON.stringify(structuredClone({ ...secret })),
    Object.values(secret).join(),
    new Error("failed", { cause: secret }).stack ?? "",
    Deno.inspect(new Error("failed", { cause: secret })),
  ];
  for (const text of shown) assert.ok(!text.includes("very"), text);
});

Deno.test("Secret is not printed by console.log in a real process", async () => {
  const url = import.meta.resolve("#/lib/secret.ts");
  const code = `import { Secret } from ${JSON.stringify(url)}; const s = new Secret("sk-very-" + "secret"); ` +
    `console.log(s, { s }, [s], "%s %o %j", s); console.error(s);`;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", code],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.ok(success, text);
  assert.ok(text.includes("[secret]") && !text.includes("very"), text);
});
