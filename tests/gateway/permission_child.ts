/** A gateway in a process with the permission of a guest. Says its port, its token and how a foreign port refused it; ends with stdin. */
import { openGateway } from "#/gateway/app.ts";
import { newToken } from "#/lib/token.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import { MemoryLog } from "../fake/memory_log.ts";
import { echoSource } from "./scripted_source.ts";

const token = newToken();
const tokens = [{ id: "test", sha256: await sha256Hex(token), scope: "owner" as const }];
const listener = openGateway({
  source: echoSource(),
  log: new MemoryLog(),
  user: "ann",
  tokens: () => tokens,
  info: { version: "1", provider: "demo", model: "demo", reason: "a test" },
  startupStatus: {
    sandbox_tier: "process",
    sidecar_available: false,
    shell_available: false,
    browser_available: false,
  },
  sessionsMax: 10,
  sessionIdleMs: 1_000,
  now: Date.now,
  answer: () => Promise.resolve(),
  exclusive: (_, work) => work(),
  derived: () => Promise.resolve(),
  forget: () => Promise.resolve(),
  onClients: () => {},
  report: (error) => console.error(error),
}).listen({ hostname: "127.0.0.1", port: 0 });
const denied = await Deno.connect({ hostname: "127.0.0.1", port: 1 }).then(() => "open", (error) => error.name);
console.log(JSON.stringify({ port: listener.port, token, denied }));
for await (const _ of Deno.stdin.readable) continue;
await listener.close();
