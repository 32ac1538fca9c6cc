import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { checkManifest, PackageManifest, parseManifest, toTools } from "#/sandbox/component_manifest.ts";
import { toSchema } from "#/tools/to_schema.ts";
import { toManifest } from "./component_kit.ts";

const TAKEN = { tools: new Set(["file_read"]), packages: new Set(["files"]) };
const BASE = await toManifest(new Uint8Array(0));
type Changes = Record<string, unknown>;

function parse(changes: Changes = {}, tool: Changes = {}): PackageManifest {
  const tools = [{ ...BASE.tools[0]!, ...tool }];
  return parseManifest(JSON.stringify({ ...BASE, tools, ...changes }), TAKEN);
}

const read = (changes: Changes = {}) => ({ kind: "fs.read", path: "$path", scope: "file", bytesMax: 1, ...changes });
const write = { kind: "fs.write", path: "$path", mode: "write", bytesMax: 1 };
const args = (properties: Changes, required: string[] = []) => ({ type: "object", properties, required });

Deno.test("parseManifest() refuses a manifest that widens, and names the field", () => {
  assert.equal(parse().name, "probe");
  const both = ["oxydra:tool/fs-read", "oxydra:tool/fs-write"];
  const wrong: [changes: Changes, tool: Changes, message: RegExp][] = [
    [{ name: "files" }, {}, /at name: files is the name of another package/],
    [{ name: "../x" }, {}, /at name:/],
    [{ imports: ["oxydra:tool/shell"] }, {}, /at imports\.0:/],
    [{ imports: ["wasi:cli/environment"] }, {}, /at imports\.0:/],
    [{ grant: "all" }, {}, /grant/],
    [{ component: { sha256: "x" } }, {}, /at component\.sha256:/],
    [{ limits: { memoryPagesMax: LIMITS.componentPagesMax + 1 } }, {}, /at limits\.memoryPagesMax:/],
    [{ tools: [] }, {}, /at tools:/],
    [{}, { name: "file_read" }, /at tools\.0\.name: there is another tool of the name file_read/],
    [{ tools: [BASE.tools[0], BASE.tools[0]] }, {}, /at tools\.1\.name: there is another tool/],
    [{}, { name: "Probe" }, /at tools\.0\.name:/],
    [{ imports: both }, { needs: [write] }, /at tools\.0\.needs\.0\.kind: a read_only tool changes nothing/],
    [
      {},
      { effect: "side_effecting", needs: [read(), write] },
      /at tools\.0\.needs\.1\.kind: fs\.write needs .*fs-write/,
    ],
    [{ imports: [] }, {}, /at tools\.0\.needs\.0\.kind: fs\.read needs oxydra:tool\/fs-read/],
    [{}, { needs: [{ kind: "clock" }] }, /at tools\.0\.needs\.0\.kind: clock needs oxydra:tool\/clock/],
    [{}, { needs: [{ kind: "secret", name: "s", hosts: [] }] }, /at tools\.0\.needs\.0\.kind:/],
    [{}, { needs: [{ kind: "config", section: "s" }] }, /at tools\.0\.needs\.0\.kind:/],
    [{}, { needs: [read({ path: "$other" })] }, /at tools\.0\.needs\.0\.path: \$other names no argument/],
    [{}, { needs: [read({ path: "$toString" })] }, /at tools\.0\.needs\.0\.path:/],
    [
      {},
      { args: args({ path: { type: "boolean" } }, ["path"]) },
      /at tools\.0\.needs\.0\.path: .*no argument that is a string/,
    ],
    [{}, { args: args({ path: { type: "string" } }) }, /at tools\.0\.needs\.0\.path: .*may be absent/],
    [{}, { needs: [read({ path: "/etc/passwd" })] }, /at tools\.0\.needs\.0\.path: .*outside/],
    [{}, { needs: [read({ path: "/shared/../vault/x" })] }, /at tools\.0\.needs\.0\.path:/],
    [{}, { needs: [read({ bytesMax: LIMITS.searchBytesMax + 1 })] }, /at tools\.0\.needs\.0\.bytesMax:/],
    [{}, { needs: [read({ scope: "disk" })] }, /at tools\.0\.needs\.0\.scope:/],
    [{}, { timeoutMs: 0 }, /at tools\.0\.timeoutMs:/],
    [{}, { effect: "none" }, /at tools\.0\.effect:/],
    [{}, { args: args({}, ["x"]) }, /at tools\.0\.args\.required\.0: is no argument/],
    [{}, { args: { ...args({}), additionalProperties: true } }, /at tools\.0\.args\.additionalProperties:/],
    [{}, { args: { ...args({}), $ref: "#" } }, /\$ref/],
    [{}, { args: args({ path: { type: "string", pattern: "^(a|a)*$" } }, ["path"]) }, /pattern/],
    [{}, { args: args({ __proto__x: { type: "string" } }) }, /at tools\.0\.args\.properties/],
    [
      {},
      { args: args({ a: { type: "array", items: { type: "array", items: { type: "string" } } } }) },
      /at tools\.0\.args/,
    ],
  ];
  for (const [changes, tool, message] of wrong) {
    assert.throws(() => parse(changes, tool), { code: "component_invalid", message }, `${message}`);
  }
});

Deno.test("parseManifest() takes what is at its limit, and no JSON is no manifest", () => {
  const tool = (at: number) => ({ ...BASE.tools[0]!, name: `probe_${at}` });
  const many = (count: number) => ({ tools: Array.from({ length: count }, (_, at) => tool(at)) });
  assert.equal(parse(many(LIMITS.packageToolsMax)).tools.length, LIMITS.packageToolsMax);
  assert.throws(() => parse(many(LIMITS.packageToolsMax + 1)), { message: /at tools:/ });
  const text = JSON.stringify(BASE);
  parseManifest(text.padEnd(LIMITS.manifestBytesMax), TAKEN);
  assert.throws(() => parseManifest(text.padEnd(LIMITS.manifestBytesMax + 1), TAKEN), { message: /its size/ });
  assert.throws(() => parseManifest("{", TAKEN), { code: "component_invalid", message: /no JSON/ });
  assert.throws(() => parseManifest("[]", TAKEN), { message: /at its root/ });
  assert.throws(() => parseManifest('{"__proto__":{"name":"x"}}', TAKEN), { code: "component_invalid" });
});

Deno.test("checkManifest() holds what a schema cannot: a tool that another package took meanwhile", () => {
  const manifest = parse();
  checkManifest(manifest, TAKEN);
  assert.throws(() => checkManifest(manifest, { ...TAKEN, tools: new Set(["probe"]) }), { message: /tools\.0\.name/ });
});

Deno.test("toTools() makes strict schemas, and capabilities that follow from the arguments", () => {
  const [tool] = toTools(parse({}, {
    args: args({
      path: { type: "string", description: "A file.", default: "/shared/a" },
      mode: { type: "string", enum: ["fast", "slow"] },
      count: { type: "integer", minimum: 1, maximum: 3 },
      share: { type: "number" },
      flag: { type: "boolean" },
      names: { type: "array", items: { type: "string", maxLength: 2 }, maxItems: 2 },
    }, ["count"]),
    needs: [
      read(),
      { kind: "fs.list", path: "/tmp/", scope: "tree", entriesMax: 7 },
    ],
  }));
  assert.deepEqual(tool!.args.parse({ count: 1 }), { path: "/shared/a", count: 1 });
  const full = { path: "/tmp/x", mode: "fast", count: 3, share: 0.5, flag: true, names: ["a", "bb"] };
  assert.deepEqual(tool!.args.parse(full), full);
  const wrong = [
    {},
    { count: 1, more: 1 },
    { count: 4 },
    { count: 1.5 },
    { count: 1, mode: "x" },
    { count: 1, names: ["abc"] },
    { count: 1, names: ["a", "b", "c"] },
    { count: "1" },
    [],
    null,
  ];
  for (const value of wrong) assert.equal(tool!.args.safeParse(value).success, false, JSON.stringify(value));
  assert.deepEqual(tool!.needs({ path: "//shared/b/", count: 1 }), [
    { kind: "fs.read", path: "/shared/b", scope: "file", bytesMax: 1 },
    { kind: "fs.list", path: "/tmp", scope: "tree", entriesMax: 7 },
  ]);
  assert.throws(() => tool!.needs({ path: "/etc/passwd" }), { code: "path_outside" });
  assert.throws(() => tool!.needs({ path: "$path" }), { code: "path_invalid" });
  assert.deepEqual(tool!.run, { component: "probe" });
  const { parameters } = toSchema(tool!);
  assert.deepEqual([parameters.additionalProperties, parameters.required], [false, ["count"]]);
});

Deno.test("toTools() turns an address into the capability of one request", () => {
  const http = {
    kind: "http",
    url: "$url",
    methods: ["GET"],
    scope: "exact",
    bytesUpMax: 0,
    bytesDownMax: 9,
    redirectsMax: 1,
  };
  const manifest = PackageManifest.parse({
    ...BASE,
    tools: [{ ...BASE.tools[0]!, args: args({ url: { type: "string" } }, ["url"]), needs: [http] }],
  });
  const [tool] = toTools(manifest);
  assert.deepEqual(tool!.needs({ url: "https://Example.com/a?b#c" }), [{
    kind: "http",
    scheme: "https",
    host: "example.com",
    port: 443,
    methods: ["GET"],
    path: "/a?b",
    scope: "exact",
    bytesUpMax: 0,
    bytesDownMax: 9,
    redirectsMax: 1,
  }]);
  assert.throws(() => tool!.needs({ url: "file:///etc/passwd" }), { code: "tool_args_invalid" });
});
