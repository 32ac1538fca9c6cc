import assert from "node:assert/strict";
import type { Capability, Decision } from "#/core/capability.ts";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { Secret } from "#/lib/secret.ts";
import { describeCapability } from "#/sandbox/grant.ts";
import type { EgressRequest } from "#/sandbox/egress_frames.ts";
import type { EgressResponse } from "#/sandbox/egress_process.ts";
import { openSecrets } from "#/sandbox/secrets.ts";
import { fetchGranted } from "#/sandbox/web.ts";

type Call = Parameters<typeof fetchGranted>[0];

const never = new AbortController().signal;
const A = "https://a.example";
const B = "https://b.example";
const KEY = "key-4711-0815";
const secrets = openSecrets([
  { name: "key", value: new Secret(KEY), hosts: ["a.example", "::1"] },
  { name: "other", value: new Secret("other-4711-0815"), hosts: ["b.example"] },
]);
const get = (url: string, change: Partial<Call> = {}): Call => ({
  fn: "http.fetch",
  method: "GET",
  url,
  headers: [],
  body: "",
  secrets: [],
  ...change,
});

/** One answer of a server, by the address that it is at. */
interface Page {
  readonly status?: number;
  readonly location?: string;
  readonly body?: string;
  readonly truncated?: boolean;
}

interface Fetched {
  readonly answer: Awaited<ReturnType<typeof fetchGranted>>;
  readonly sent: readonly EgressRequest[];
  readonly judged: readonly string[];
}

/** Where the error of a refused request says how far it got. */
interface Refused extends Omit<Fetched, "answer"> {
  readonly error: Error & { readonly code?: string };
}

const granted = (need: Capability): Decision => ({
  kind: "granted",
  grant: { id: "g", capabilities: [need], source: "s", expiresAt: 1 },
  policyDigest: "d",
  source: "s",
});

/** Fetches from a web of `pages`; an address that is none of them fails the test. */
async function run(
  call: Call,
  pages: Readonly<Record<string, Page>>,
  options: { bytesMax?: number; redirectsMax?: number; decide?: (need: Capability) => Decision } = {},
): Promise<Fetched | Refused> {
  const { bytesMax = 1_000, redirectsMax = 5, decide = granted } = options;
  const sent: EgressRequest[] = [];
  const judged: string[] = [];
  const request = (exchange: EgressRequest): Promise<EgressResponse> => {
    sent.push(exchange);
    const page = pages[exchange.url];
    assert.ok(page, `nothing is at ${exchange.url}`);
    const { status = page.location === undefined ? 200 : 302, location, body = "", truncated = false } = page;
    const content = new TextEncoder().encode(body);
    const headers: [string, string][] = location === undefined ? [["x", "y"]] : [["LOCATION", location]];
    const head = { status, headers, address: "93.184.216.34", wireBytes: 9, bodyBytes: content.length, truncated };
    return Promise.resolve({ head, content });
  };
  const deps = {
    egress: { request },
    secrets,
    decide(need: Capability): Decision {
      judged.push(describeCapability(need));
      return decide(need);
    },
  };
  try {
    return { answer: await fetchGranted(call, { bytesMax, redirectsMax }, deps, never), sent, judged };
  } catch (error) {
    return { error: error as Refused["error"], sent, judged };
  }
}

async function follow(...args: Parameters<typeof run>): Promise<Fetched> {
  const result = await run(...args);
  if ("error" in result) throw result.error;
  return result;
}

async function refuse(...args: Parameters<typeof run>): Promise<Refused> {
  const result = await run(...args);
  assert.ok("error" in result, "it was followed");
  return result;
}

const headersOf = (request: EgressRequest | undefined) => Object.fromEntries(request!.headers);
const lineOf = ({ method, url, body }: EgressRequest) => `${method} ${url} ${atob(body)}`.trim();

Deno.test("fetchGranted() sends one request within its bounds and gives back what came, without the server's address", async () => {
  const { answer, sent, judged } = await follow(get(`${A}/x?q=1`, { headers: [["accept", "text/html"]] }), {
    [`${A}/x?q=1`]: { body: "höllo", truncated: true },
  }, { bytesMax: 7 });
  assert.deepEqual(answer.value, {
    status: 200,
    url: `${A}/x?q=1`,
    headers: [["x", "y"]],
    bytes: 6,
    truncated: true,
  });
  assert.equal(new TextDecoder().decode(answer.content), "höllo");
  assert.deepEqual(sent, [{
    url: `${A}/x?q=1`,
    method: "GET",
    headers: [["accept", "text/html"], ["user-agent", "oxydra"]],
    body: "",
    downBytesMax: 7,
    timeoutMs: LIMITS.webTimeoutMs,
  }]);
  assert.deepEqual(judged, [], "the grant was the judgement");
  const large = await follow(get(`${A}/`), { [`${A}/`]: {} }, { bytesMax: 1e12 });
  assert.equal(large.sent[0]!.downBytesMax, LIMITS.responseBytesMax);
  const own = await follow(get(`${A}/`, { headers: [["User-Agent", "mine"]] }), { [`${A}/`]: {} });
  assert.deepEqual(headersOf(own.sent[0]), { "User-Agent": "mine" });
});

Deno.test("fetchGranted() follows relative and absolute targets, judges each as a request of its own, and says where it ended", async () => {
  const { answer, sent, judged } = await follow(get(`${A}/one/two?q=1`), {
    [`${A}/one/two?q=1`]: { location: "../three#part" },
    [`${A}/three`]: { status: 301, location: "?p=2" },
    [`${A}/three?p=2`]: { status: 308, location: "//b.example/four" },
    [`${B}/four`]: { status: 307, location: "http://c.example:8080/%41" },
    ["http://c.example:8080/%41"]: { status: 404, body: "none" },
  });
  assert.deepEqual(judged, [
    `http GET ${A}/three`,
    `http GET ${A}/three?p=2`,
    `http GET ${B}/four`,
    "http GET http://c.example:8080/%41",
  ]);
  assert.deepEqual(sent.map(lineOf).slice(1), judged.map((line) => line.slice("http ".length)));
  assert.deepEqual(answer.value, {
    status: 404,
    url: "http://c.example:8080/%41",
    headers: [["x", "y"]],
    bytes: 4,
    truncated: false,
  });
});

Deno.test("fetchGranted() asks policy for exactly the redirected request: its method, its body, no further redirect", async () => {
  const needs: Capability[] = [];
  await follow(get(`${A}/`, { method: "PUT", body: "ü1" }), {
    [`${A}/`]: { status: 307, location: `${B}/b?c#d` },
    [`${B}/b?c`]: {},
  }, {
    bytesMax: 77,
    decide(need) {
      needs.push(need);
      return granted(need);
    },
  });
  assert.deepEqual(needs, [{
    kind: "http",
    scheme: "https",
    host: "b.example",
    port: 443,
    methods: ["PUT"],
    path: "/b?c",
    scope: "exact",
    bytesUpMax: 3,
    bytesDownMax: 77,
    redirectsMax: 0,
  }]);
});

Deno.test("fetchGranted() keeps or drops method and body as RFC 9110 says", async () => {
  const table = [
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [303, "PUT", "GET"],
    [303, "DELETE", "GET"],
    [303, "HEAD", "HEAD"],
    [302, "HEAD", "HEAD"],
    [301, "PUT", "PUT body"],
    [302, "DELETE", "DELETE body"],
    [307, "POST", "POST body"],
    [308, "PATCH", "PATCH body"],
    [307, "HEAD", "HEAD"],
  ] as const;
  for (const [status, method, then] of table) {
    const body = method === "HEAD" ? "" : "body";
    const pages = { [`${A}/`]: { status, location: "/then" }, [`${A}/then`]: {} };
    const { sent } = await follow(get(`${A}/`, { method, body }), pages);
    assert.equal(lineOf(sent[1]!), then.replace(/^\w+/, `$& ${A}/then`), `${status} ${method}`);
  }
});

Deno.test("fetchGranted() gives an answer that names no other place to the tool", async () => {
  const pages: Page[] = [
    { status: 300, location: "/x" },
    { status: 304, location: "/x" },
    { status: 201, location: "/x" },
    { status: 302 },
    { status: 302, location: "http://[" },
    { status: 302, location: "https://" },
  ];
  for (const page of pages) {
    const { answer, sent } = await follow(get(`${A}/`), { [`${A}/`]: page });
    assert.equal((answer.value as { status: number }).status, page.status);
    assert.equal(sent.length, 1);
  }
  const unfollowed = await follow(get(`${A}/`), { [`${A}/`]: { location: `${B}/` } }, { redirectsMax: 0 });
  assert.equal((unfollowed.answer.value as { status: number }).status, 302);
  assert.deepEqual([unfollowed.sent.length, unfollowed.judged], [1, []]);
});

Deno.test("fetchGranted() stops at the grant's number of redirects, a loop included", async () => {
  const chain = Object.fromEntries(
    Array.from({ length: 7 }, (_, at) => [`${A}/${at}`, at === 5 ? { body: "there" } : { location: `/${at + 1}` }]),
  );
  const { answer } = await follow(get(`${A}/0`), chain, { redirectsMax: 5 });
  assert.equal((answer.value as { url: string }).url, `${A}/5`);
  const short = await refuse(get(`${A}/0`), chain, { redirectsMax: 4 });
  assert.deepEqual([short.error.code, short.error.message], [
    "egress_failed",
    `${A}/0 redirects more than 4 times`,
  ]);
  assert.equal(short.sent.length, 5);
  const loop = await refuse(get(`${A}/`), { [`${A}/`]: { location: "/" } }, { redirectsMax: LIMITS.redirectsMax });
  assert.deepEqual([loop.error.code, loop.sent.length], ["egress_failed", LIMITS.redirectsMax + 1]);
});

Deno.test("fetchGranted() names target and reason of a redirect that is not granted, and sends nothing there", async () => {
  const refusals = [
    { kind: "denied", missing: [], policyDigest: "d", source: "s", reason: "no rule grants it" },
    {
      kind: "ask",
      wanted: [],
      missing: [],
      answer: "owner",
      policyDigest: "d",
      source: "s",
      reason: "a person decides",
    },
  ] as const;
  for (const decision of refusals) {
    const { error, sent } = await refuse(get(`${A}/`), {
      [`${A}/`]: { location: "/ok" },
      [`${A}/ok`]: { location: `${B}/secret-place` },
    }, { decide: (need) => need.kind === "http" && need.host === "b.example" ? decision : granted(need) });
    assert.equal(error.code, "tool_denied");
    assert.equal(
      error.message,
      `${A}/ok redirects to ${B}/secret-place, which is not granted: ${decision.reason}`,
    );
    assert.deepEqual(sent.map(({ url }) => url), [`${A}/`, `${A}/ok`]);
  }
});

Deno.test("fetchGranted() refuses targets that are no plain web address, however they are spelled", async () => {
  const targets = [
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "ftp://b.example/",
    "blob:https://b.example/1",
    "ws://b.example/",
    "https://user@b.example/",
    "https://user:pw@b.example/",
    "//a.example:key@b.example/",
    `https://:${"p".repeat(9)}@b.example/`,
  ];
  for (const location of targets) {
    const { error, sent, judged } = await refuse(get(`${A}/`), { [`${A}/`]: { location } });
    assert.equal(error.code, "tool_denied", location);
    assert.match(
      error.message,
      /^https:\/\/a\.example\/ redirects to \S+, which is not granted: The address must begin/,
    );
    assert.deepEqual([sent.length, judged], [1, []], location);
  }
  const longest = `${B}/${"x".repeat(LIMITS.urlCharsMax - B.length - 1)}`;
  await follow(get(`${A}/`), { [`${A}/`]: { location: longest }, [longest]: {} });
  const { error, sent } = await refuse(get(`${A}/`), { [`${A}/`]: { location: `${longest}x` } });
  assert.deepEqual([error.code, sent.length, error.message.length < 200], ["tool_denied", 1, true]);
});

Deno.test("fetchGranted() does not hide a fault of ours behind a refusal", async () => {
  const broken = () => {
    throw new TypeError("a bug");
  };
  const { error } = await refuse(get(`${A}/`), { [`${A}/`]: { location: "/b" } }, { decide: broken });
  assert.ok(error instanceof TypeError);
});

Deno.test("fetchGranted() keeps an origin's own headers and secrets within it, and drops them for good when it leaves", async () => {
  const call = get(`${A}/`, {
    headers: [
      ["Authorization", "Bearer t"],
      ["cookie", "c=1"],
      ["X-Api-Key", "k"],
      ["x-auth-token", "t"],
      ["Api-Key", "k"],
      ["Ocp-Apim-Subscription-Key", "k"],
      ["Private-Token", "t"],
      ["X-Session-Id", "s"],
      ["Proxy-Authorization", "p"],
      ["accept", "text/html"],
      ["x-requested-with", "x"],
    ],
    secrets: [{ header: "x-goog", name: "key" }],
  });
  const all = Object.fromEntries([...call.headers, ["user-agent", "oxydra"], ["x-goog", KEY]]);
  const plain = { accept: "text/html", "x-requested-with": "x", "user-agent": "oxydra" };
  const { sent } = await follow(call, {
    [`${A}/`]: { location: "/again" },
    [`${A}/again`]: { location: `${B}/` },
    // Back at the first origin, on a path that a stranger chose.
    [`${B}/`]: { location: `${A}/echo` },
    [`${A}/echo`]: {},
  });
  assert.deepEqual(sent.map(headersOf), [all, all, plain, plain]);
  for (
    const elsewhere of ["http://a.example/", "https://a.example:8443/", "https://www.a.example/", "https://a.example./"]
  ) {
    const other = await follow(call, { [`${A}/`]: { location: elsewhere }, [elsewhere]: {} });
    assert.deepEqual(headersOf(other.sent[1]), plain, elsewhere);
  }
  const sameOrigin = await follow(call, { [`${A}/`]: { location: "https://A.EXAMPLE:443/b" }, [`${A}/b`]: {} });
  assert.deepEqual(headersOf(sameOrigin.sent[1]), all);
});

Deno.test("fetchGranted() spends a secret on its declared hosts alone, before anything is sent", async () => {
  const key = [{ header: "x-key", name: "key" }];
  const six = await follow(get("http://[::1]:8080/", { secrets: key }), { "http://[::1]:8080/": {} });
  assert.equal(headersOf(six.sent[0])["x-key"], KEY);
  for (const url of [`${B}/`, "https://a.example.evil.example/", "https://a.example./", "https://xa.example/"]) {
    const { error, sent } = await refuse(get(url, { secrets: key }), { [url]: {} });
    assert.deepEqual([error.code, sent.length], ["secret_denied", 0], url);
    assert.ok(!error.message.includes(KEY));
  }
  const both = get(`${A}/`, { secrets: [...key, { header: "x-b", name: "other" }] });
  assert.equal((await refuse(both, { [`${A}/`]: {} })).error.code, "secret_denied");
  const unknown = get(`${A}/`, { secrets: [{ header: "x", name: "__proto__" }] });
  assert.equal((await refuse(unknown, { [`${A}/`]: {} })).error.code, "secret_denied");
});

Deno.test("fetchGranted() follows no redirect that carries a secret's value, and neither policy nor a message hears of it", async () => {
  const forms = [
    KEY,
    encodeURIComponent(KEY),
    btoa(KEY),
    [...KEY].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
  ];
  for (const form of forms) {
    for (const location of [`${B}/?k=${form}`, `/${form}`, `https://${form}@b.example/`]) {
      const call = get(`${A}/`, { secrets: [{ header: "x-key", name: "key" }] });
      const { error, sent, judged } = await refuse(call, { [`${A}/`]: { location } });
      assert.deepEqual([error.code, sent.length, judged], ["tool_denied", 1, []], location);
      assert.equal(error.message, `${A}/ redirects to an address that holds the value of a secret`);
    }
  }
});

Deno.test("fetchGranted() passes on what egress says, and the signal with which it was called", async () => {
  const { signal } = new AbortController();
  const seen: AbortSignal[] = [];
  const request = (_: EgressRequest, given: AbortSignal): Promise<EgressResponse> => {
    seen.push(given);
    return Promise.reject(new AppError("egress_timeout", "silent"));
  };
  const deps = { egress: { request }, secrets, decide: granted };
  await assert.rejects(fetchGranted(get(`${A}/`), { bytesMax: 1, redirectsMax: 1 }, deps, signal), {
    code: "egress_timeout",
  });
  assert.deepEqual(seen, [signal]);
});

Deno.test("fetchGranted() says where a redirect led that egress did not serve, and leaves every other fault as it is", async () => {
  const fail = (error: Error) => {
    const request = (exchange: EgressRequest): Promise<EgressResponse> => {
      if (exchange.url === `${A}/in`) return Promise.reject(error);
      const head = { status: 302, headers: [["location", "/in"] as [string, string]], address: "", wireBytes: 0 };
      return Promise.resolve({ head: { ...head, bodyBytes: 0, truncated: false }, content: new Uint8Array(0) });
    };
    return fetchGranted(get(`${A}/`), { bytesMax: 1, redirectsMax: 1 }, {
      egress: { request },
      secrets,
      decide: granted,
    }, never);
  };
  await assert.rejects(fail(new AppError("egress_denied", "The address is not public")), {
    code: "egress_denied",
    message: `${A}/ redirects to ${A}/in: The address is not public`,
  });
  await assert.rejects(fail(new TypeError("a bug")), TypeError);
});
