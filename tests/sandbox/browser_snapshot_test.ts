import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { AxNode, type SnapshotLine, toDiff, toLines, toView } from "#/sandbox/browser_snapshot.ts";

type Short = {
  id: string;
  role: string;
  name?: string;
  kids?: string[];
  value?: unknown;
  ignored?: boolean;
  props?: Record<string, unknown>;
};
const tree = (...nodes: readonly Short[]): AxNode[] =>
  nodes.map(({ id, role, name, kids, value, ignored = false, props = {} }) =>
    AxNode.parse({
      ...{
        nodeId: id,
        ignored,
        role: { type: "role", value: role },
        childIds: kids ?? [],
        backendDOMNodeId: Number(id),
      },
      ...(name === undefined ? {} : { name: { type: "string", value: name } }),
      ...(value === undefined ? {} : { value: { type: "string", value } }),
      properties: Object.entries(props).map(([name, value]) => ({ name, value: { type: "x", value } })),
    })
  );
const texts = (lines: readonly SnapshotLine[]) => lines.map(({ text }) => text);
const ref = (node: number) => `e${node}`;

Deno.test("toLines() shows roles, names, states and refs, and leaves out what says nothing", () => {
  const lines = toLines(
    tree(
      { id: "1", role: "RootWebArea", name: "T", kids: ["2", "5", "8", "404"] },
      { id: "2", role: "generic", kids: ["3"] },
      { id: "3", role: "heading", name: "Of\n rivers", kids: ["4"] },
      { id: "4", role: "StaticText", name: "rivers" },
      { id: "5", role: "paragraph", kids: ["6", "7"], ignored: true },
      { id: "6", role: "StaticText", name: "They run" },
      { id: "7", role: "link", name: "on", kids: [] },
      {
        id: "8",
        role: "textbox",
        name: "Q",
        value: "x",
        props: { focusable: true, required: true, checked: "mixed", disabled: false },
      },
    ),
    ref,
  );
  assert.deepEqual(texts(lines), [
    '- heading "Of rivers"',
    '- text "They run"',
    '- link "on" [e7]',
    '- textbox "Q" [e8] (value "x", required, checked: mixed)',
  ]);
  assert.deepEqual(lines.map(({ isKey }) => isKey), [true, false, true, true]);
});

Deno.test("toLines() takes each node once, whatever circle or depth there is, and only what lies below a root", () => {
  const nodes = tree(
    { id: "1", role: "button", name: "a", kids: ["2", "2"] },
    { id: "2", role: "button", name: "b", kids: ["1"] },
  );
  assert.deepEqual(texts(toLines(nodes, ref)), ['- button "a" [e1]', '  - button "b" [e2]']);
  assert.deepEqual(texts(toLines(nodes, ref, 2)), ['- button "b" [e2]', '  - button "a" [e1]']);
  assert.deepEqual(toLines([], ref), []);
  assert.deepEqual(toLines(nodes, ref, 9), []);
  const deep = tree(
    ...Array.from({ length: 20_000 }, (_, at) => ({ id: `${at}`, role: "list", name: "x", kids: [`${at + 1}`] })),
  );
  const lines = toLines(deep, ref);
  assert.equal(lines.length, 20_000);
  assert.equal(lines.at(-1)!.text, `${"  ".repeat(12)}- list "x"`);
});

Deno.test("toLines() cuts a name at browserNameCharsMax", () => {
  const name = (length: number) => texts(toLines(tree({ id: "1", role: "text", name: "é".repeat(length) }), ref))[0]!;
  assert.equal(name(LIMITS.browserNameCharsMax), `- text "${"é".repeat(LIMITS.browserNameCharsMax)}"`);
  assert.equal(name(LIMITS.browserNameCharsMax + 1), `- text "${"é".repeat(LIMITS.browserNameCharsMax - 1)}…"`);
});

Deno.test("toView() shows all, or what can be used, or the first of that with a count", () => {
  const lines = [{ text: "- text", isKey: false }, { text: "  - button", isKey: true }, {
    text: "  - link",
    isKey: true,
  }];
  assert.equal(toView(lines, 27), "- text\n  - button\n  - link");
  const what = "A large page: headings and what can be used, without its texts (action text brings these).";
  assert.equal(toView(lines, 26), `${what}\n- button\n- link`);
  assert.equal(toView(lines, 10), `${what}\n- button\n1 more; scope the snapshot with selector`);
  assert.equal(toView([]), "");
});

Deno.test("toDiff() says what is new and what is gone, each as often as it is", () => {
  const lines = (...all: string[]) => all.map((text) => ({ text, isKey: false }));
  assert.deepEqual(texts(toDiff(lines("- a", "  - b", "- b"), lines("- b", "- b", "- c"))), [
    "- a",
    "- b",
    "+ b",
    "+ c",
  ]);
  assert.deepEqual(toDiff(lines("- a"), lines("- a")), []);
});
