/** All that a provider over HTTP promises, run against its vendor's dialect. Each part is a file, and each test's name starts with the type. */
import type { Dialect } from "../fake/dialect.ts";
import { pause, raw } from "../fake/openai_reply.ts";
import { startFakeOpenAi } from "../fake/openai_server.ts";
import { openAgainst, saying, toReply, toRequest } from "./dialect_kit.ts";
import { testProvider } from "./provider_contract.ts";
import { testFaults } from "./provider_faults.ts";
import { testFragments } from "./provider_fragments.ts";
import { testReplies } from "./provider_replies.ts";
import { testRequests } from "./provider_requests.ts";
import { testUrls } from "./provider_urls.ts";

/** Runs the contract; `deno test … tests/contract/ --filter "/^gemini:/"` runs and counts it for one provider. */
export function testDialectContract(dialect: Dialect): void {
  testProvider(dialect.type, async () => {
    const vendor = await startFakeOpenAi((body) =>
      JSON.stringify(body).includes('"act"') ? act(dialect) : talk(dialect)
    );
    const of = (content: string) => toRequest({ messages: [{ role: "user", content }] });
    return {
      provider: await openAgainst(dialect, vendor),
      talk: of("talk"),
      act: of("act"),
      close: vendor.close,
    };
  });
  testFragments(dialect);
  testFaults(dialect);
  testReplies(dialect);
  testRequests(dialect);
  testUrls(dialect);
}

function act(dialect: Dialect) {
  const call = { kind: "call", id: "call_0", name: "file_read", args: '{"path":"/shared/a"}', fragments: 3 } as const;
  return toReply(saying(dialect, [call], { reason: "tool_calls" }).flatMap((event) => raw(event)));
}

/** A model pauses to think; what it says in one breath may come as one event. */
function talk(dialect: Dialect) {
  const said = [{ kind: "text", text: "One two three " }, { kind: "text", text: "four five six." }] as const;
  return toReply(saying(dialect, said).flatMap((event) => [...raw(event), ...pause(10)]));
}
