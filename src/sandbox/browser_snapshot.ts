import { z } from "zod";
import { LIMITS } from "#/core/limits.ts";

const Value = z.object({ value: z.unknown() });

/** One node of an accessibility tree, as Chromium tells it (CDP, Accessibility.AXNode). */
export const AxNode = z.object({
  nodeId: z.string(),
  ignored: z.boolean(),
  role: Value.optional(),
  name: Value.optional(),
  value: Value.optional(),
  properties: z.array(z.object({ name: z.string(), value: Value })).optional(),
  childIds: z.array(z.string()).optional(),
  backendDOMNodeId: z.int().optional(),
});
export type AxNode = z.infer<typeof AxNode>;

/** One line of a snapshot. */
export interface SnapshotLine {
  readonly text: string;
  /** A person can use it, or finds their way by it: what is shown when not everything can be. */
  readonly isKey: boolean;
}

/** What a person can use. */
const USABLE: ReadonlySet<string> = new Set([
  ...["button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "option", "menuitem", "tab", "switch"],
  ...["menuitemcheckbox", "menuitemradio", "slider", "spinbutton", "listbox", "treeitem", "DisclosureTriangle"],
]);
/** What stands for nothing by itself. */
const BLANK: ReadonlySet<string> = new Set(["generic", "none", "InlineTextBox", "LineBreak", "presentation"]);
/** What shows its state by being there. */
const FLAGS: ReadonlySet<string> = new Set(["disabled", "checked", "selected", "expanded", "pressed", "required"]);
const DEPTH_SHOWN_MAX = 12;

/**
 * A tree as lines, indented: role, name, a ref for what can be used, its value and its state. Only what lies below `root`, where given.
 * `toRef` names an element by its number in the browser. Pure but for that.
 */
export function toLines(nodes: readonly AxNode[], toRef: (node: number) => string, root?: number): SnapshotLine[] {
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const first = root === undefined ? nodes[0] : nodes.find(({ backendDOMNodeId }) => backendDOMNodeId === root);
  const lines: SnapshotLine[] = [];
  const todo = first === undefined ? [] : [{ node: first, depth: 0, above: "" }];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { node, depth, above } = next;
    // Each node once: a tree of a hostile browser may have circles.
    if (!byId.delete(node.nodeId)) continue;
    const role = wordOf(node.role);
    const name = wordOf(node.name);
    const isText = role === "StaticText";
    const isShown = !node.ignored && role !== "" && role !== "RootWebArea" && role !== "InlineTextBox" &&
      !(isText ? name === "" || above.includes(name) : BLANK.has(role) && name === "");
    if (isShown) lines.push(toLine(node, { role, name, depth }, toRef));
    const inner = isShown ? { depth: depth + 1, above: name } : { depth, above };
    for (const id of (node.childIds ?? []).toReversed()) {
      const child = byId.get(id);
      if (child !== undefined) todo.push({ node: child, ...inner });
    }
  }
  return lines;
}

function toLine(
  node: AxNode,
  { role, name, depth }: { readonly role: string; readonly name: string; readonly depth: number },
  toRef: (node: number) => string,
): SnapshotLine {
  const of = new Map((node.properties ?? []).map(({ name, value }) => [name, value.value]));
  const isUsable = USABLE.has(role) || of.get("focusable") === true && !BLANK.has(role) && role !== "StaticText";
  const flags = [...of].filter(([flag, value]) => FLAGS.has(flag) && value !== false && value !== "false")
    .map(([flag, value]) => value === true || value === "true" ? flag : `${flag}: ${wordOf({ value })}`);
  const value = wordOf(node.value);
  const state = [...(value === "" || value === name ? [] : [`value ${JSON.stringify(value)}`]), ...flags];
  const text = [
    `${"  ".repeat(Math.min(depth, DEPTH_SHOWN_MAX))}- ${role === "StaticText" ? "text" : role}`,
    name === "" ? "" : ` ${JSON.stringify(name)}`,
    isUsable && node.backendDOMNodeId !== undefined ? ` [${toRef(node.backendDOMNodeId)}]` : "",
    state.length === 0 ? "" : ` (${state.join(", ")})`,
  ].join("");
  return { text, isKey: isUsable || role === "heading" };
}

/** One line of bounded length. */
function wordOf(value: z.infer<typeof Value> | undefined): string {
  const word = value?.value;
  if (typeof word !== "string" && typeof word !== "number") return "";
  const line = String(word).slice(0, LIMITS.browserNameCharsMax * 4).replace(/\s+/g, " ").trim();
  if (line.length <= LIMITS.browserNameCharsMax) return line;
  return `${line.slice(0, LIMITS.browserNameCharsMax - 1).toWellFormed()}…`;
}

/** Lines as a view that the model sees whole: all of them, or what can be used of a large page, or its beginning. Pure. */
export function toView(lines: readonly SnapshotLine[], charsMax: number = LIMITS.browserViewCharsMax): string {
  const all = lines.map(({ text }) => text);
  if (charsOf(all) <= charsMax) return all.join("\n");
  const keys = lines.filter(({ isKey }) => isKey).map(({ text }) => text.trimStart());
  const shown: string[] = [];
  let chars = 0;
  for (const line of keys) {
    chars += line.length + 1;
    if (chars > charsMax) break;
    shown.push(line);
  }
  const more = keys.length - shown.length;
  const what = "A large page: headings and what can be used, without its texts (action text brings these).";
  return [what, ...shown, ...(more === 0 ? [] : [`${more} more; scope the snapshot with selector`])].join("\n");
}

function charsOf(lines: readonly string[]): number {
  return lines.reduce((sum, { length }) => sum + length + 1, 0);
}

/** What is new (`+`) and what is gone (`-`), each line as often as it is. Pure. */
export function toDiff(before: readonly SnapshotLine[], after: readonly SnapshotLine[]): SnapshotLine[] {
  const signed = (sign: string, from: readonly SnapshotLine[], less: readonly SnapshotLine[]) => {
    const counts = new Map<string, number>();
    for (const { text } of less) counts.set(text, (counts.get(text) ?? 0) + 1);
    return from.filter(({ text }) => {
      const left = counts.get(text) ?? 0;
      counts.set(text, left - 1);
      return left <= 0;
    }).map((line) => ({ ...line, text: `${sign} ${line.text.trimStart().replace(/^- /, "")}` }));
  };
  return [...signed("-", before, after), ...signed("+", after, before)];
}
