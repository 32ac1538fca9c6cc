/** `oxydra catalog show|verify|fetch`, in processes and against a server on a real socket. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { runCatalogFetch } from "#/cli/catalog_fetch.ts";
import { runCatalogShow } from "#/cli/catalog_show.ts";
import { runCatalogVerify } from "#/cli/catalog_verify.ts";
import { makeMachine as makeFiles } from "../config/layers_on_disk.ts";
import { catalogText } from "../fixture/catalogs.ts";
import { makeMachine, runOxydra, spawnOxydra } from "../fixture/system.ts";
import { enterRealm } from "./realm.ts";

const YOURS = "home/.config/oxydra/model_catalog.json";
const PROJECT = "work/.oxydra/model_catalog.json";

/** Runs one command in this process, on these files. */
async function run(
  files: Readonly<Record<string, string>>,
  command: () => Promise<number>,
): Promise<{ code: number; out: string; err: string }> {
  using machine = makeFiles(files);
  using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
  const code = await command();
  return { code, out: realm.out().replaceAll(machine.root, "ROOT"), err: realm.err().replaceAll(machine.root, "ROOT") };
}

Deno.test("oxydra catalog show prints the vendors, the models of one, and one model", async () => {
  const machine = await makeMachine();
  const vendors = await runOxydra(["catalog", "show"], machine);
  assert.equal(vendors.code, 0, vendors.err);
  assert.match(vendors.out, /^vendor +models +newest\nanthropic +\d+ +\d{4}-/);
  assert.match(vendors.out, /\d+ models, from snapshot of \d{4}-\d{2}-\d{2}\n/);
  const models = await runOxydra(["catalog", "show", "openai"], machine);
  assert.match(models.out, /^gpt-4\.1-mini +1\.05M +33k +0\.40 +1\.60 +image pdf$/m);
  const one = await runOxydra(["catalog", "show", "openai/gpt-4.1-mini"], machine);
  assert.match(one.out, /^openai\/gpt-4\.1-mini\nname {6}GPT-4\.1 mini, of 2025-04-14\ncontext {3}1,047,576 tokens\n/);
  const unknown = await runOxydra(["catalog", "show", "openai/gpt-4.1-mni"], machine);
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /the nearest are gpt-4\.1-mini/);
});

Deno.test("runCatalogShow() takes the name of an entry, and lists by date, given up ones last", async () => {
  const google = await run({}, () => runCatalogShow("gemini", {}));
  const ids = google.out.split("\n").slice(1).map((line) => line.split(" ")[0]!);
  assert.ok(ids.indexOf("gemini-3.5-flash") < ids.indexOf("gemini-2.5-flash"));
  assert.ok(ids.indexOf("gemini-2.5-flash") < ids.indexOf("gemini-2.0-flash"), "deprecated");
  await assert.rejects(run({}, () => runCatalogShow("nobody", {})), /has no vendor nobody; it has anthropic/);
  await assert.rejects(run({}, () => runCatalogShow("openai/", {})), /no model {2}in the catalog|no model/);
});

Deno.test("runCatalogShow() shows what a model of a server of one's own is taken for, the overlay's changes included", async () => {
  const files = {
    "work/.oxydra/agent.toml":
      '[providers.registry.local]\nprovider_type = "openai"\nbase_url = "http://127.0.0.1:11434/v1"\n',
    "home/.config/oxydra/oxydra_caps_overrides.json":
      '{"overrides":{"local/qwen3":{"max_context_tokens":32768,"cost":{"input":0,"output":0}}}}',
  };
  const { out } = await run(files, () => runCatalogShow("local/qwen3", {}));
  assert.match(out, /^local\/qwen3\n.*\ncontext {3}32,768 tokens\n[^]*\$0\.00 in, \$0\.00 out/);
});

Deno.test("runCatalogShow() shows which place a model is from, with the overlay's changes, and passes over what does not fit", async () => {
  const files = {
    [YOURS]: catalogText({ "gpt-4.1": { name: "Mine" }, odd: { limit: 1 } }),
    [PROJECT]: catalogText({ "of-the-folder": {} }),
    "home/.config/oxydra/oxydra_caps_overrides.json": '{"overrides":{"openai/gpt-4.1":{"supports_tools":false}}}',
  };
  const { out } = await run(files, () => runCatalogShow("openai", {}));
  assert.match(out, /^gpt-4\.1 .*1\.00 +2\.00 +no tools, ROOT\/home\/\.config\/oxydra\/model_catalog\.json$/m);
  assert.match(out, /^of-the-folder .* \? +\? +\.oxydra\/model_catalog\.json$/m);
  assert.doesNotMatch(out, /^odd/m);
  const json = await run(files, () => runCatalogShow("openai/gpt-4.1", { json: true }));
  const { models } = JSON.parse(json.out);
  assert.deepEqual([models.length, models[0].vendor, models[0].name, models[0].toolCall], [1, "openai", "Mine", false]);
  const broken = await run({ [YOURS]: "{" }, () => runCatalogShow(undefined, {}));
  assert.equal(broken.code, 0);
  assert.match(broken.err, /not used of the model catalog: ROOT\/.*model_catalog\.json:1: is no JSON/);
});

Deno.test("runCatalogVerify() tells each place with its counts, how it counts, and what is wrong with its line", async () => {
  const fine = await run({}, () => runCatalogVerify({}));
  assert.equal(fine.code, 0);
  assert.match(
    fine.out,
    /^snapshot {3}github\.com\/anomalyco\/models\.dev at [0-9a-f]{7}\n +\d+ models of \d+ vendors, 2026-\d\d-\d\d\n +✓ valid\n$/,
  );
  const files = {
    [YOURS]: `{"openai":{"id":"openai","name":"x","models":{\n"a":${JSON.stringify({ id: "a", name: "a" })}}}}`,
    [PROJECT]: catalogText({ a: {} }),
  };
  const { code, out } = await run(files, () => runCatalogVerify({}));
  assert.equal(code, 2);
  assert.match(
    out,
    /^yours +ROOT\/home\/.*\n +0 models of 1 vendor, .*\n.*\n +✗ line 2: openai\.models\.a\.limit/,
  );
  assert.match(
    out,
    /\nproject +\.oxydra\/model_catalog\.json\n +1 model of 1 vendor.*\n +for models that nothing else has, without prices: it is not\s+trusted\n +✓ valid/,
  );
  const json = await run(files, () => runCatalogVerify({ json: true }));
  assert.deepEqual(JSON.parse(json.out).tiers.map(({ tier }: { tier: string }) => tier), [
    "yours",
    "project",
    "snapshot",
  ]);
});

Deno.test("runCatalogVerify() shows a broken overlay, and no more flaws than a person reads", async () => {
  const overlay = await run({ "home/.config/oxydra/oxydra_caps_overrides.json": "[" }, () => runCatalogVerify({}));
  assert.equal(overlay.code, 2);
  assert.match(overlay.out, /\noverlay +ROOT.*oxydra_caps_overrides\.json\n +✗ .*is no JSON/);
  using machine = makeFiles({ [PROJECT]: "" });
  Deno.removeSync(join(machine.root, PROJECT));
  Deno.symlinkSync("nowhere", join(machine.root, PROJECT));
  {
    using realm = enterRealm({ cwd: machine.cwd, env: { HOME: machine.home } });
    assert.equal(await runCatalogVerify({}), 2);
    assert.match(realm.out(), /^project +.*\n.*\n.*\n.*✗ is a link to a file that is not there/);
  }
  const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`m${i}`, { limit: 1 }]));
  const { out } = await run({ [YOURS]: catalogText(many) }, () => runCatalogVerify({}));
  assert.equal(out.match(/✗ line/g)?.length, 20);
  assert.match(out, /✗ and 5 more/);
});

/** Serves what `answer` gives. */
async function withServer(answer: () => Response, body: (url: string) => Promise<void>): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);
  try {
    await body(`http://127.0.0.1:${server.addr.port}/api.json`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("oxydra catalog fetch: what was fetched counts from the next start, and goes before the snapshot", async () => {
  const text = catalogText({ "brand-new": {}, "gpt-4.1": { limit: 7 } });
  await withServer(() => new Response(text), async (url) => {
    const machine = await makeMachine();
    const env = { ...machine.env, OXYDRA__CATALOG__PINNED_URL: url };
    const fetched = await runOxydra(["catalog", "fetch"], { ...machine, env });
    assert.equal(fetched.code, 0, fetched.err);
    assert.match(
      fetched.out,
      /^written: .*\.config\/oxydra\/model_catalog\.json\n {2}1 model of 1 vendor, from http:\/\/127/,
    );
    assert.match(fetched.err, /1 entry left out, the first in line 1: openai\.models\.gpt-4\.1\.limit/);
    assert.doesNotMatch(fetched.err, /\r/, "no bar where no terminal is");
    assert.match((await runOxydra(["catalog", "fetch", "--url", url], machine)).out, /^nothing new: /);
    const shown = await runOxydra(["catalog", "show", "openai/brand-new"], machine);
    assert.match(shown.out, /from {6}\/.*model_catalog\.json/);
  });
});

Deno.test("runCatalogFetch() wants a HOME, and refuses an address in the clear", async () => {
  {
    using realm = enterRealm({ cwd: await Deno.makeTempDir(), env: {} });
    await assert.rejects(runCatalogFetch({}), { code: "usage", message: /HOME is not set/ });
    assert.equal(realm.out(), "");
  }
  const { code, err } = await runOxydra(["catalog", "fetch", "--url", "http://models.example/x"], await makeMachine());
  assert.deepEqual([code, /fetched by https/.test(err)], [2, true]);
});

Deno.test("oxydra catalog fetch, killed while it reads, leaves the old file", async () => {
  const machine = await makeMachine();
  const path = join(machine.env.HOME!, ".config/oxydra/model_catalog.json");
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, catalogText({ old: {} }));
  const asked = Promise.withResolvers<void>();
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const half = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode(catalogText({ fresh: {} }).slice(0, 60)));
          asked.resolve();
          await over;
          controller.close();
        },
      }),
    );
  await withServer(half, async (url) => {
    const child = spawnOxydra(["catalog", "fetch", "--url", url], machine);
    await asked.promise;
    child.kill("SIGKILL");
    await child.output();
    end();
    assert.equal(await Deno.readTextFile(path), catalogText({ old: {} }));
    assert.deepEqual([...Deno.readDirSync(dirname(path))].map(({ name }) => name), ["model_catalog.json"]);
  });
});

Deno.test("oxydra run refuses a vendor's model that the catalog has not, before anything starts", async () => {
  const machine = await makeMachine();
  const env = { ...machine.env, OPENAI_API_KEY: "sk-test-0123456789abcdef" };
  const { code, out, err } = await runOxydra(["run", "--model", "openai/gpt-4.1-mni", "hello"], { ...machine, env });
  assert.deepEqual([code, out], [2, ""]);
  assert.match(
    err,
    /^oxydra: command line: selection\.model: openai has no model gpt-4\.1-mni.*gpt-4\.1-mini.*catalog fetch/,
  );
  await assert.rejects(Deno.stat(join(machine.cwd, ".oxydra/workspaces/default/ipc/gateway-endpoint")));
  const doctor = await runOxydra(["doctor", "--json"], {
    ...machine,
    env: { ...env, OXYDRA__SELECTION__MODEL: "gpt-4.1-mni" },
  });
  const model = JSON.parse(doctor.out).checks.find(({ name }: { name: string }) => name === "model catalog");
  assert.deepEqual([model.ok, /gpt-4\.1-mini/.test(model.detail)], [false, true]);
});
