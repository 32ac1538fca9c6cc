import assert from "node:assert/strict";
import { join } from "node:path";
import type { Posture } from "#/cli/posture_shape.ts";
import { runPosture } from "#/cli/posture.ts";
import { toPostureText } from "#/cli/posture_text.ts";
import { runTrust } from "#/cli/trust.ts";
import { openAudit } from "#/sandbox/audit.ts";
import { writeApprovals } from "#/sandbox/approval_state.ts";
import { type Machine, makeMachine } from "../config/layers_on_disk.ts";
import { PROCESS_NAMES } from "../fixture/workspace.ts";
import { enterRealm, type Realm } from "./realm.ts";

/** Where tests make their folders. */
const TMP = Deno.env.get("TMPDIR") ?? "/tmp";

const AGENT = `
[tools.web_search]
provider = "google"
base_url = "https://search.example/v1"
api_key_env = "SEARCH_KEY"
egress_allowlist = ["192.168.1.5:8080"]

[secrets.forge]
env = "FORGE_TOKEN"
hosts = ["git.example.com"]

[secrets.gone]
env = "GONE_TOKEN"
hosts = ["gone.example.com"]
private = false

[[policy.rules]]
id = "no evil"
kinds = ["http"]
hosts = ["*.evil.example"]
effect = "deny"
reason = "we do not talk to them"
`;
const SECRETS = {
  FORGE_TOKEN: "forge-value-1234",
  OPENAI_API_KEY: "sk-model-value-1234",
  SEARCH_KEY: "search-value-1234",
};

interface House {
  readonly machine: Machine;
  readonly realm: Realm;
  readonly workspace: string;
  posture(options?: Parameters<typeof runPosture>[0]): Promise<Posture>;
}

async function withHouse(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
  check: (house: House) => Promise<void>,
): Promise<void> {
  using machine = makeMachine(files);
  using realm = enterRealm({
    cwd: machine.cwd,
    env: { HOME: machine.home, DENO_DIR: join(machine.root, "deno"), ...env },
  });
  if ("work/.oxydra/agent.toml" in files) await runTrust(join(machine.cwd, ".oxydra/agent.toml"));
  await check({
    machine,
    realm,
    workspace: join(machine.cwd, ".oxydra/workspaces/default"),
    async posture(options = {}) {
      const before = realm.out().length;
      assert.equal(await runPosture({ json: true, ...options }, "1.2.3"), 0);
      return JSON.parse(realm.out().slice(before));
    },
  });
}

Deno.test("runPosture() on an empty folder makes nothing, changes nothing and starts nothing", async () => {
  await withHouse({}, {}, async ({ machine, posture }) => {
    const { questions, processes, auditHead, approvals, gateway, policy, tools } = await posture();
    assert.deepEqual(tools.find(({ name }) => name === "vault_copyto"), {
      name: "vault_copyto",
      package: "host",
      effect: "side_effecting",
      own: true,
    });
    assert.ok(tools.every(({ own }) => own));
    assert.deepEqual([...Deno.readDirSync(machine.cwd)], []);
    assert.ok(questions.length > 10);
    assert.deepEqual(processes.map(({ name }) => name), PROCESS_NAMES);
    assert.deepEqual([auditHead, gateway, approvals], [null, null, { standing: [], waiting: [], privateSessions: 0 }]);
    assert.match(policy.digest, /^[0-9a-f]{64}$/);
  });
});

Deno.test("runPosture() says where rules come from, which secrets are set and what is reachable, and no value of a secret", async () => {
  await withHouse({ "work/.oxydra/agent.toml": AGENT }, SECRETS, async ({ machine, realm, posture }) => {
    const found = await posture();
    const [own, settings, shipped] = found.policy.layers;
    assert.deepEqual(own!.origin, {
      layer: "project",
      file: join(machine.cwd, ".oxydra/agent.toml"),
      line: AGENT.split("\n").indexOf("[[policy.rules]]") + 1,
    });
    assert.deepEqual(own!.rules, [{
      id: "no evil",
      effect: "deny",
      rule: "http to *.evil.example",
      reason: "we do not talk to them",
    }]);
    assert.ok(settings!.rules.every(({ id }) => id.startsWith("settings:")) && settings!.rules.length === 2);
    assert.ok(shipped!.rules.some(({ id, effect }) => id === "default:vault" && effect === "asks the owner"));
    assert.deepEqual(found.secrets.map(({ name, set, private: isPrivate }) => [name, set, isPrivate]), [
      ["forge", true, true],
      ["gone", false, false],
      ["web_search", true, false],
    ]);
    assert.deepEqual(found.web, { mode: "default", proxy: null, allowlist: ["192.168.1.5:8080"] });
    assert.deepEqual([found.model!.provider, found.model!.key, found.model!.hosts], [
      "openai",
      "OPENAI_API_KEY",
      ["api.openai.com:443"],
    ]);
    const guest = found.processes.find(({ name }) => name === "guest")!;
    const net = guest.permissions.open.find(({ permission }) => permission === "net")!;
    assert.deepEqual(net.only, ["127.0.0.1:0", "api.openai.com:443"]);
    const listed = found.processes.find(({ name }) => name === "egress listed")!;
    assert.deepEqual(listed.permissions.open, [{ permission: "net", only: ["192.168.1.5:8080"], but: [] }]);
    assert.ok(found.degraded.some(({ code, why }) => code === "secret_unset" && why.includes("GONE_TOKEN")));
    assert.equal(await runPosture({}, "1.2.3"), 0);
    for (const value of Object.values(SECRETS)) assert.ok(!realm.out().includes(value), "a secret is shown");
  });
});

Deno.test("runPosture() and its text name each fallback with its host and where its key comes from", async () => {
  const files = {
    "work/.oxydra/agent.toml":
      '[selection]\nprovider = "openai"\nmodel = "m"\n[[selection.fallback]]\nprovider = "near"\nmodel = "n"\n' +
      '[providers.registry.near]\nprovider_type = "openai"\nbase_url = "http://192.168.1.5:8000"\napi_key = "sk-near"\n',
  };
  await withHouse(files, { OPENAI_API_KEY: "sk-x" }, async ({ realm, posture }) => {
    const { model, fallback } = await posture();
    assert.deepEqual(model!.hosts, ["api.openai.com:443"]);
    const key = "providers.registry.near.api_key";
    assert.deepEqual(fallback, [{ provider: "near", model: "n", hosts: ["192.168.1.5:8000"], key }]);
    assert.equal(await runPosture({}, "1.2.3"), 0);
    assert.match(realm.out(), /\n {2}fallback +near\/n at 192\.168\.1\.5:8000; the guest has its key, from/);
  });
});

Deno.test("runPosture() in strict mode shows one egress process, the proxy and what it may be asked for", async () => {
  const strict = '[tools.web_search]\negress_mode = "strict"\negress_proxy_url = "http://proxy.example:3128"\n' +
    'egress_allowlist = ["api.example.com:443"]\n';
  await withHouse({ "work/.oxydra/agent.toml": strict }, {}, async ({ realm, posture }) => {
    const { web, processes } = await posture();
    assert.deepEqual(web, { mode: "strict", proxy: "proxy.example:3128", allowlist: ["api.example.com:443"] });
    const egress = processes.filter(({ name }) => name.startsWith("egress"));
    assert.deepEqual(egress.map(({ name, permissions }) => [name, permissions.open]), [
      ["egress listed", [{ permission: "net", only: ["proxy.example:3128"], but: [] }]],
    ]);
    assert.equal(await runPosture({}, "1.2.3"), 0);
    assert.match(realm.out(), /fetches a public page +denied +egress_mode strict/);
    assert.match(realm.out(), /hosts of the allowlist only, through the proxy proxy\.example:3128/);
  });
});

Deno.test("runPosture() shows answers that stand, calls that wait and the audit head, and leaves a damaged file where it is", async () => {
  await withHouse({}, {}, async ({ workspace, realm, posture }) => {
    const path = join(workspace, "run/approvals.json");
    Deno.mkdirSync(join(workspace, "run"), { recursive: true, mode: 0o700 });
    const tool = { name: "file_read", package: "files", version: "1", sha256: "a".repeat(64) };
    writeApprovals(path, {
      v: 1,
      pending: [{
        id: "019a3f12-34ab-7000-8000-00000000000a",
        key: "k",
        session: "s",
        turn: "t",
        callId: "c",
        principal: { user: "default", agent: ["default"], origin: "channel" },
        tool,
        argsSha256: "b".repeat(64),
        wanted: [],
        lines: ["fs.read /vault/key"],
        reason: "private",
        answer: "owner",
        askedAt: 1,
        expiresAt: Date.UTC(2030, 0, 1),
      }],
      standing: [
        { key: "k1", answer: "never", by: "owner", what: "file_read: fs.read /vault/diary", at: 1 },
        { key: "k2", answer: "until", by: "owner", until: 5, at: 1 },
        { key: "k3", answer: "session", by: "relayed", session: "s", what: "web_fetch: http GET https://a/", at: 1 },
      ],
      private: ["s"],
    });
    const audit = openAudit({
      dir: join(workspace, "audit"),
      now: () => 7,
      opened: { version: "1", policyDigest: "d" },
    });
    const { head } = audit;
    audit.close();
    const found = await posture();
    assert.deepEqual(found.approvals!.standing.map(({ answer, what }) => [answer, what]), [
      ["never", "file_read: fs.read /vault/diary"],
      ["until", null],
      ["session", "web_fetch: http GET https://a/"],
    ]);
    assert.deepEqual(found.approvals!.waiting.map(({ what }) => what), ["file_read: fs.read /vault/key"]);
    assert.deepEqual([found.approvals!.privateSessions, found.auditHead], [1, { ...head, at: 7 }]);
    assert.equal(await runPosture({}, "1.2.3"), 0);
    assert.match(
      realm.out(),
      /APPROVALS: 3 answers stand, 1 call waits\n {2}never +file_read: fs\.read \/vault\/diary/,
    );
    assert.match(realm.out(), /until 1970-\d\d-\d\d \d\d:\d\d \(over\) a call of an older version/);
    Deno.writeTextFileSync(path, "{ damaged");
    const damaged = await posture();
    assert.equal(damaged.approvals, null);
    assert.ok(damaged.degraded.some(({ code }) => code === "approvals_damaged"));
    assert.deepEqual([...Deno.readDirSync(join(workspace, "run"))].map(({ name }) => name), ["approvals.json"]);
  });
});

Deno.test("runPosture() names an installed package that is not used", async () => {
  await withHouse({}, {}, async ({ workspace, posture }) => {
    Deno.mkdirSync(join(workspace, "run/packages", "b".repeat(64)), { recursive: true });
    const { degraded } = await posture();
    assert.ok(degraded.some(({ code }) => code === "package_refused"), JSON.stringify(degraded));
  });
});

Deno.test("runPosture() goes on where no model can be chosen, and refuses a folder that a start would refuse", async () => {
  const files = { "work/.oxydra/agent.toml": '[selection]\nprovider = "anthropic"\nmodel = "m"\n' };
  await withHouse(files, {}, async ({ workspace, posture }) => {
    const found = await posture();
    assert.equal(found.model, null);
    assert.equal(found.degraded[0]!.code, "cannot_start");
    Deno.mkdirSync(workspace, { recursive: true });
    Deno.symlinkSync("/tmp", join(workspace, "internal"));
    await assert.rejects(runPosture({}, "1.2.3"), { code: "config_invalid", message: /internal folder is a link/ });
  });
});

Deno.test("toPostureText() fits 80 columns but for what cannot be broken, and has everything that the JSON has", async () => {
  await withHouse({ "work/.oxydra/agent.toml": AGENT }, SECRETS, async ({ posture }) => {
    const found = await posture();
    // A short place, as a home folder has, so that only what is really too long is too long.
    const short: Posture = JSON.parse(
      JSON.stringify(found).replaceAll(found.workspace, "/w").replaceAll(new RegExp(`${TMP}/\\w+`, "g"), "/m"),
    );
    const text = toPostureText(short, 0);
    assert.deepEqual(text.split("\n").filter((line) => line.length > 80), []);
    const flat = text.replace(/\s+/g, " ");
    const words = [
      ...short.policy.layers.flatMap(({ rules }) => rules.map(({ id }) => `[${id}]`)),
      ...short.secrets.map(({ name }) => name),
      ...short.mounts.map(({ path }) => path),
      ...short.processes.map(({ name }) => name.toUpperCase()),
      ...short.degraded.map(({ why }) => why),
      short.policy.digest,
      "model openai/",
    ];
    for (const word of words) assert.ok(flat.includes(word), word);
    assert.ok(!text.includes("\u00a0"));
  });
});
