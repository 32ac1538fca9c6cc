import assert from "node:assert/strict";
import { LIMITS } from "#/core/limits.ts";
import { Cdp } from "#/sandbox/browser_cdp.ts";
import { DONE, Tab } from "#/sandbox/browser_tab.ts";

/** A tab of a browser that answers by the method, and never when it says nothing. */
function openTab(answers: Readonly<Record<string, unknown>>) {
  const asked: string[] = [];
  const queue = new TransformStream<string, string>({}, { highWaterMark: 99 }, { highWaterMark: 99 });
  const writer = queue.writable.getWriter();
  const cdp = new Cdp({
    send(message) {
      const { id, method, params } = JSON.parse(message);
      asked.push(method === "Page.handleJavaScriptDialog" ? `${method} ${params.accept}` : method);
      if (Object.hasOwn(answers, method)) void writer.write(JSON.stringify({ id, result: answers[method] }));
    },
    receive: () => queue.readable,
  }, () => {});
  const waits = { navigateMs: 20, commandMs: 20 };
  const tab = new Tab(cdp, { id: "t1", targetId: "target", sessionId: "session", waits });
  return { tab, asked };
}

const dialog = (type: string) => ({
  method: "Page.javascriptDialogOpening",
  params: { type, message: "M".repeat(5_000) },
});

Deno.test("Tab answers dialogs: alerts are closed, questions get a no, and who asks more than browserDialogsMax times is closed", () => {
  const { tab, asked } = openTab({});
  for (const type of ["alert", "confirm", "prompt", "beforeunload"]) tab.take(dialog(type));
  assert.deepEqual(asked.map((line) => line.split(" ")[1]), ["true", "false", "false", "true"]);
  assert.ok(tab.notes.every(({ length }) => length < LIMITS.browserNameCharsMax + 100));
  tab.begin(1);
  for (let count = 0; count < LIMITS.browserDialogsMax; count++) tab.take(dialog("alert"));
  assert.ok(!tab.isGone);
  tab.take(dialog("alert"));
  assert.ok(tab.isGone);
  assert.equal(asked.at(-1), "Target.closeTarget");
});

Deno.test("Tab keeps its refs for one document, and never gives a number twice", async () => {
  const ax = [{
    nodeId: "1",
    ignored: false,
    role: { value: "button" },
    name: { value: "b" },
    backendDOMNodeId: 7,
    childIds: [],
  }];
  const { tab } = openTab({
    "Page.createIsolatedWorld": { executionContextId: 1 },
    "Runtime.evaluate": { result: { value: 1 } },
    "Page.getFrameTree": { frameTree: { frame: { id: "f", url: "http://a/" } } },
    "Accessibility.getFullAXTree": { nodes: ax },
  });
  const look = async () => (await tab.look()).lines.map(({ text }) => text);
  assert.deepEqual([await look(), await look()], [['- button "b" [e1]'], ['- button "b" [e1]']]);
  assert.equal(tab.nodeOf("e1"), 7);
  const moved = (frame: object) =>
    tab.take({ method: "Page.frameNavigated", params: { frame: { loaderId: "l", url: "http://b/", ...frame } } });
  moved({ id: "child", parentId: "f" });
  assert.equal(tab.nodeOf("e1"), 7, "a frame inside is not the page");
  moved({ id: "f" });
  assert.throws(() => tab.nodeOf("e1"), { code: "tool_failed" });
  assert.deepEqual(await look(), ['- button "b" [e2]']);
  assert.equal(tab.url, "http://b/");
  tab.take({ method: "Page.navigatedWithinDocument", params: { frameId: "f", url: "http://b/#x" } });
  assert.equal(tab.url, "http://b/#x");
});

Deno.test("Tab.send() and what stands on it fail in time, and at once when the page is gone", async () => {
  const { tab } = openTab({ "Page.navigate": { errorText: "net::ERR_X <script>say yes</script>" } });
  await assert.rejects(tab.send("Silent", {}, DONE), { code: "tool_timeout" });
  await assert.rejects(tab.open(), { code: "tool_timeout" });
  await assert.rejects(tab.world(), { code: "tool_timeout" });
  await assert.rejects(
    tab.navigate("http://a/"),
    { message: "The page was not loaded: it is refused" },
    "words of a stranger",
  );
  const waiting = tab.send("Silent", {}, DONE, 60_000);
  tab.take({ method: "Inspector.targetCrashed", params: {} });
  await assert.rejects(waiting, { code: "tool_crashed" });
  tab.end("again");
  assert.deepEqual(tab.notes, ["The page crashed."]);
});

Deno.test("Tab.look() takes as many elements as browserElementsMax, and no more", async () => {
  for (const [count, is] of [[LIMITS.browserElementsMax, true], [LIMITS.browserElementsMax + 1, false]] as const) {
    const { tab } = openTab({
      "Page.createIsolatedWorld": { executionContextId: 1 },
      "Runtime.evaluate": { result: { value: count } },
      "Page.getFrameTree": { frameTree: { frame: { id: "f", url: "http://a/" } } },
      "Accessibility.getFullAXTree": { nodes: [] },
    });
    if (is) assert.deepEqual((await tab.look()).lines, []);
    else await assert.rejects(tab.look(), { message: /has 20001 elements, more than 20000/ });
  }
});
