/** A model whose commands connect: through the proxy, to what the owner granted, for as long as the command runs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { allowSites, openSite, openWebHouse, withTalk } from "../fixture/web_house.ts";

// The proxy is not for what listens on the command's own loopback, so a server of this machine is asked for it.
const CURL = "curl -sS -m 10 --noproxy '' -w '|%{http_code}|'";

const shell = (command: string, network?: readonly string[]) =>
  ["shell_exec", { command, ...(network === undefined ? {} : { network }) }] as const;

Deno.test("a command with a granted host reaches it by curl, one without is refused, and a process left behind is cut", async () => {
  const cut = Promise.withResolvers<void>();
  await using site = openSite(({ pathname }) => {
    if (pathname !== "/stream") return new Response("the river");
    const first = new TextEncoder().encode("first\n");
    return new Response(
      new ReadableStream({ start: (out) => out.enqueue(first), cancel: () => cut.resolve() }, { highWaterMark: 0 }),
    );
  });
  await using house = await openWebHouse();
  await house.configure(allowSites([site]));
  const host = `127.0.0.1:${site.port}`;
  await withTalk(house, async ({ turn }) => {
    const { results, asked } = await turn([
      shell(`${CURL} ${site.url}/a`, [host]),
      shell(`${CURL} ${site.url}/b`),
      shell(`${CURL} http://127.0.0.1:9/`, [host]),
      shell(
        `curl -sN --noproxy '' ${site.url}/stream > /shared/got & until [[ -s /shared/got ]]; do sleep 0.02; done; cat /shared/got`,
        [host],
      ),
      shell("wait; cat /shared/got; echo ended"),
    ], { answer: "once" });
    assert.deepEqual(asked[0], [`shell ${CURL} ${site.url}/a`, `connect ${host}`]);
    assert.equal(asked.length, 5);
    assert.match(results[0]!, /^\[exit code 0, in \/shared\]\nthe river\|200\|/);
    assert.doesNotMatch(results[1]!, /the river|\|200\|/);
    assert.match(results[1]!, /\|403\|/);
    assert.match(results[2]!, /\|403\|/);
    assert.match(results[3]!, /first\n/);
    await cut.promise;
    assert.match(results[4]!, /first\nended/);
  });
  assert.deepEqual(site.seen.map(({ line }) => line), ["GET /a", "GET /stream"]);
  const log = await Deno.readTextFile(join(house.workspace, "logs/sidecar.log"));
  assert.match(log, new RegExp(`shell sh-[\\w-]+: ${host}, \\d+ bytes up, \\d+ down`));
});

Deno.test("a command clones a repository over HTTP from a granted host", async () => {
  const root = await Deno.makeTempDir();
  const git = async (cwd: string, ...args: string[]) => {
    const { success, stderr } = await new Deno.Command("git", {
      args: ["-c", "user.name=a", "-c", "user.email=a@b.example", ...args],
      cwd,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  await git(root, "init", "-q", "work");
  await Deno.writeTextFile(join(root, "work/a.txt"), "river\n");
  await git(join(root, "work"), "add", ".");
  await git(join(root, "work"), "commit", "-qm", "first");
  await using site = openSite((url, request) => answerGit(root, url, request));
  await using house = await openWebHouse();
  await house.configure(allowSites([site]));
  await withTalk(house, async ({ turn }) => {
    const { results } = await turn([
      shell(`NO_PROXY= no_proxy= git clone -q ${site.url}/work copy && cat copy/a.txt`, [`127.0.0.1:${site.port}`]),
    ], { answer: "once" });
    assert.match(results[0]!, /^\[exit code 0, in \/shared\]\nriver$/);
  });
  assert.ok(site.seen.some(({ line }) => line.startsWith("POST /work/git-upload-pack")));
  await Deno.remove(root, { recursive: true });
});

/** The smart protocol, by git's own CGI. */
async function answerGit(root: string, url: URL, request: Request): Promise<Response> {
  const child = new Deno.Command("git", {
    args: ["-c", "safe.directory=*", "http-backend"],
    env: {
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers.get("content-type") ?? "",
      HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
      GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
    },
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await (request.body ?? new Blob([]).stream()).pipeTo(child.stdin);
  const { stdout } = await child.output();
  const end = new TextDecoder("latin1").decode(stdout).indexOf("\r\n\r\n");
  const fields = new TextDecoder().decode(stdout.subarray(0, end)).split("\r\n").map((line) => line.split(": ", 2));
  const headers = new Headers(fields.filter(([name]) => name !== "Status") as [string, string][]);
  const status = Number(fields.find(([name]) => name === "Status")?.[1]?.slice(0, 3) ?? 200);
  return new Response(stdout.subarray(end + 4), { status, headers });
}
