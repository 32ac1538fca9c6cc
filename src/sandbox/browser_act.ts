import { z } from "zod";
import { AppError } from "#/core/error.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import { DONE, type Tab } from "#/sandbox/browser_tab.ts";

const Quads = z.object({ quads: z.array(z.array(z.number()).length(8)) });
const Root = z.object({ root: z.object({ nodeId: z.int() }) });
const Found = z.object({ nodeId: z.int() });
const Described = z.object({ node: z.object({ backendNodeId: z.int() }) });
const Resolved = z.object({ object: z.object({ objectId: z.string() }) });
const Called = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z.unknown().optional(),
});

/** Keys by name, with their codes (UI Events KeyboardEvent key and legacy keyCode values). */
const KEYS: Readonly<Record<string, readonly [code: number, text?: string]>> = {
  Enter: [13, "\r"],
  Tab: [9],
  Escape: [27],
  Backspace: [8],
  Delete: [46],
  Space: [32, " "],
  ArrowUp: [38],
  ArrowDown: [40],
  ArrowLeft: [37],
  ArrowRight: [39],
  Home: [36],
  End: [35],
  PageUp: [33],
  PageDown: [34],
};
const MODIFIERS: Readonly<Record<string, number>> = { Alt: 1, Control: 2, Meta: 4, Shift: 8 };
/** One turn of a wheel over the whole page, in CSS pixels. */
const SCROLL_PX = 600;
const SCROLL_PX_MAX = 100_000;

const SELECT_ALL = `function () {
  this.focus();
  if (typeof this.select === "function") this.select();
  else this.ownerDocument.getSelection().selectAllChildren(this);
}`;
const CHOOSE = `function (wanted) {
  if (!(this instanceof HTMLSelectElement)) return "no list";
  const option = [...this.options].find((one) => one.value === wanted || one.label.trim() === wanted.trim());
  if (option === undefined) return "no option";
  option.selected = true;
  for (const type of ["input", "change"]) this.dispatchEvent(new Event(type, { bubbles: true }));
  return "chosen";
}`;

/** Does one thing to an element, or to the page. Throws AppError `tool_args_invalid`, `tool_failed`, `tool_timeout`, `tool_crashed`. */
export async function act(tab: Tab, ask: BrowserAsk): Promise<void> {
  const { kind, ref, selector, text, key, value } = ask;
  const isNamed = ref !== undefined || selector !== undefined;
  const target = () => findNode(tab, ask);
  switch (kind) {
    case "click":
    case "hover":
      return await point(tab, await target(), kind);
    case "focus":
      return await focus(tab, await target());
    case "type":
      if (isNamed) await focus(tab, await target());
      return await type(tab, need(text, "text"));
    case "fill":
      await call(tab, await target(), SELECT_ALL, []);
      return text === undefined || text === ""
        ? await press(tab, "Delete")
        : void await tab.send("Input.insertText", { text }, DONE);
    case "press":
      if (isNamed) await focus(tab, await target());
      return await press(tab, need(key, "key"));
    case "select": {
      const done = await call(tab, await target(), CHOOSE, [need(value, "value")]);
      if (done === "chosen") return;
      throw new AppError(
        "tool_failed",
        done === "no list" ? "That is no list of options" : "The list has no such option",
      );
    }
    case "scroll":
      if (isNamed) return void await tab.send("DOM.scrollIntoViewIfNeeded", { backendNodeId: await target() }, DONE);
      return await scroll(tab, value);
    case undefined:
      throw new AppError("tool_args_invalid", "action act needs a kind");
  }
}

/** The element that a ref or a selector names. Throws AppError `tool_args_invalid` for neither, `tool_failed` for none. */
export async function findNode(tab: Tab, { ref, selector }: Pick<BrowserAsk, "ref" | "selector">): Promise<number> {
  if (ref !== undefined) return tab.nodeOf(ref);
  const wanted = need(selector, "ref or selector");
  const { root } = await tab.send("DOM.getDocument", { depth: 0 }, Root);
  const found = await tab.send("DOM.querySelector", { nodeId: root.nodeId, selector: wanted }, Found)
    .catch((cause) => {
      if (!(cause instanceof AppError) || cause.code !== "tool_failed") throw cause;
      throw new AppError("tool_failed", "That is no CSS selector", { cause });
    });
  if (found.nodeId === 0) throw new AppError("tool_failed", "No element of the page fits that selector");
  return (await tab.send("DOM.describeNode", { nodeId: found.nodeId }, Described)).node.backendNodeId;
}

async function point(tab: Tab, node: number, kind: "click" | "hover"): Promise<void> {
  await reach(tab, "DOM.scrollIntoViewIfNeeded", node);
  const { quads: [quad] } = await tab.send("DOM.getContentQuads", { backendNodeId: node }, Quads).catch(gone);
  if (quad === undefined) throw new AppError("tool_failed", "The element is not to be seen");
  const middle = (from: number) => (quad[from]! + quad[from + 2]! + quad[from + 4]! + quad[from + 6]!) / 4;
  const at = { x: middle(0), y: middle(1) };
  const mouse = (type: string, more = {}) => tab.send("Input.dispatchMouseEvent", { type, ...at, ...more }, DONE);
  await mouse("mouseMoved");
  if (kind === "hover") return;
  const left = { button: "left", clickCount: 1 };
  // A dialog that the click opens holds these answers back until it is answered.
  await Promise.all([mouse("mousePressed", left), mouse("mouseReleased", left)]);
}

async function focus(tab: Tab, node: number): Promise<void> {
  await reach(tab, "DOM.focus", node);
}

async function reach(tab: Tab, method: string, node: number): Promise<void> {
  await tab.send(method, { backendNodeId: node }, DONE).catch(gone);
}

/** The element left the page, or cannot be used like this: the browser's words say no more, and not to a model. */
function gone(cause: unknown): never {
  if (!(cause instanceof AppError) || cause.code !== "tool_failed") throw cause;
  throw new AppError("tool_failed", "The element is not there any more, or cannot be used so: take a snapshot", {
    cause,
  });
}

async function type(tab: Tab, text: string): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (const char of text) {
    const isKey = char.length === 1 && char >= " ";
    sent.push(
      ...(isKey
        ? [
          tab.send("Input.dispatchKeyEvent", { type: "keyDown", key: char, text: char }, DONE),
          tab.send("Input.dispatchKeyEvent", { type: "keyUp", key: char }, DONE),
        ]
        : char === "\n"
        ? [press(tab, "Enter")]
        : [tab.send("Input.insertText", { text: char }, DONE)]),
    );
  }
  await Promise.all(sent);
}

async function press(tab: Tab, chord: string): Promise<void> {
  const names = chord === "+" ? ["+"] : chord.split("+");
  const key = names.pop()!;
  const modifiers = names.reduce((sum, name) => sum | (MODIFIERS[name] ?? NaN), 0);
  const known = Object.hasOwn(KEYS, key) ? KEYS[key]! : [...key].length === 1 ? [0, key] as const : undefined;
  if (known === undefined || names.some((name) => !Object.hasOwn(MODIFIERS, name))) {
    const have = [...Object.keys(KEYS), "a character"].join(", ");
    throw new AppError(
      "tool_args_invalid",
      `There is no such key. There are: ${have}; with Alt+, Control+, Meta+ or Shift+ before`,
    );
  }
  const [code, text] = known;
  const windowsVirtualKeyCode = code || key.toUpperCase().charCodeAt(0);
  const of = { key: key === "Space" ? " " : key, code: code ? key : "", modifiers, windowsVirtualKeyCode };
  const typed = text === undefined || (modifiers & ~MODIFIERS.Shift!) !== 0 ? {} : { text };
  await Promise.all([
    tab.send("Input.dispatchKeyEvent", { type: "text" in typed ? "keyDown" : "rawKeyDown", ...of, ...typed }, DONE),
    tab.send("Input.dispatchKeyEvent", { type: "keyUp", ...of }, DONE),
  ]);
}

async function scroll(tab: Tab, value: string | undefined): Promise<void> {
  const deltaY = value === undefined ? SCROLL_PX : Number(value);
  if (!Number.isFinite(deltaY) || Math.abs(deltaY) > SCROLL_PX_MAX) {
    throw new AppError(
      "tool_args_invalid",
      `value must be pixels to scroll by, at most ${SCROLL_PX_MAX}; less than 0 is up`,
    );
  }
  await tab.evaluate(`scrollBy(0, ${deltaY})`, z.unknown());
}

/** Calls a function of ours on an element, beside the page's own scripts. */
async function call(tab: Tab, node: number, declaration: string, args: readonly string[]): Promise<unknown> {
  const executionContextId = await tab.world();
  const { object: { objectId } } = await tab.send(
    "DOM.resolveNode",
    { backendNodeId: node, executionContextId },
    Resolved,
  )
    .catch(gone);
  const { result, exceptionDetails } = await tab.send("Runtime.callFunctionOn", {
    functionDeclaration: declaration,
    objectId,
    arguments: args.map((value) => ({ value })),
    returnByValue: true,
  }, Called).catch(gone);
  if (exceptionDetails !== undefined) throw new AppError("tool_failed", "The element cannot be used so");
  return result.value;
}

function need(value: string | undefined, name: string): string {
  if (value !== undefined) return value;
  throw new AppError("tool_args_invalid", `This needs ${name}`);
}
