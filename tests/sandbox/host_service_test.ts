import assert from "node:assert/strict";
import type { Capability } from "#/core/capability.ts";
import type { HostAnswer } from "#/sandbox/files.ts";
import { toHttpNeed } from "#/core/http_need.ts";
import { HostService, type NetService } from "#/sandbox/host_service.ts";
import { openTempFiles } from "./temp_files.ts";

const never = new AbortController().signal;
const http = toHttpNeed("https://a.com/x", {
  methods: ["POST"],
  scope: "exact",
  bytesUpMax: 9,
  bytesDownMax: 5,
  redirectsMax: 0,
});
const post = {
  fn: "http.fetch",
  method: "POST",
  url: "https://a.com/x",
  headers: [],
  body: "abc",
  secrets: [],
} as const;

function makeService(capabilities: readonly Capability[], fetched: NetService["fetch"]) {
  const temp = openTempFiles();
  const files = temp.files.openCall();
  const logged: string[] = [];
  const net: NetService = {
    fetch: fetched,
    setting: (key) => key === "web_search.provider" ? "searxng" : null,
    log: (level, message) => logged.push(`${level} ${message}`),
  };
  const grant = { id: "g", capabilities, source: "test", expiresAt: 1_000 };
  const service = new HostService(grant, { files, net, now: () => 0 });
  return {
    service,
    logged,
    [Symbol.dispose]() {
      files[Symbol.dispose]();
      temp[Symbol.dispose]();
    },
  };
}

const answer = (text: string): HostAnswer => ({
  value: { status: 200, url: "https://a.com/x", headers: [], bytes: text.length, truncated: false },
  content: new TextEncoder().encode(text),
});

Deno.test("HostService serves requests, settings and log lines within the grant, and counts them", async () => {
  const allowed: number[] = [];
  using made = makeService([http, { kind: "config", section: "web_search" }, { kind: "log" }], (_call, bounds) => {
    allowed.push(bounds.bytesMax);
    return Promise.resolve(answer("1234"));
  });
  const { service, logged } = made;
  await service.answer(post, never);
  await service.answer(post, never);
  assert.deepEqual(allowed, [5, 1], "what came down is counted over all requests of a call");
  assert.deepEqual(service.touched, { readBytes: 0, writtenBytes: 0, upBytes: 6, downBytes: 8 });
  const setting = (key: string) => service.answer({ fn: "config.get", key }, never);
  assert.deepEqual([await setting("web_search.provider"), await setting("web_search.nope")], [
    { value: { value: "searxng" } },
    { value: { value: null } },
  ]);
  await assert.rejects(setting("providers.registry"), { code: "tool_denied" });
  await service.answer({ fn: "log.write", level: "warn", message: "m" }, never);
  assert.deepEqual(logged, ["warn m"]);
});

Deno.test("HostService answers one call at a time, none that is not granted, and none after it is closed", async () => {
  const release = Promise.withResolvers<HostAnswer>();
  using made = makeService([http], () => release.promise);
  const { service } = made;
  const first = service.answer(post, never);
  await assert.rejects(service.answer(post, never), { code: "protocol" });
  release.resolve(answer(""));
  await first;
  await assert.rejects(service.answer({ ...post, url: "https://a.com/y" }, never), { code: "tool_denied" });
  await assert.rejects(service.answer({ fn: "fs-read.read-text", path: "/shared/a" }, never), { code: "tool_denied" });
  await assert.rejects(service.answer(post, AbortSignal.abort()), { code: "tool_interrupted" });
  service.close();
  await assert.rejects(service.answer(post, never), { code: "tool_interrupted" });
});

Deno.test("HostService without a network serves files alone", async () => {
  using temp = openTempFiles();
  using files = temp.files.openCall();
  const grant = { id: "g", capabilities: [http], source: "test", expiresAt: 1_000 };
  const service = new HostService(grant, { files, net: undefined, now: () => 0 });
  await assert.rejects(service.answer(post, never), { code: "tool_denied" });
});
