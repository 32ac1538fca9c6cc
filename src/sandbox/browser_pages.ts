import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { LinkAnswer } from "#/lib/link.ts";
import { act, findNode } from "#/sandbox/browser_act.ts";
import { Cdp, type CdpEvent, type CdpWire } from "#/sandbox/browser_cdp.ts";
import type { BrowserAsk } from "#/sandbox/browser_frames.ts";
import { toDiff, toView } from "#/sandbox/browser_snapshot.ts";
import { DONE, type PageWaits, Tab } from "#/sandbox/browser_tab.ts";

const Context = z.object({ browserContextId: z.string() });
const Created = z.object({ targetId: z.string() });
const Version = z.object({ product: z.string() });
const Picture = z.object({ data: z.base64() });
const Attached = z.object({
  sessionId: z.string(),
  targetInfo: z.object({ targetId: z.string(), type: z.string(), browserContextId: z.string().optional() }),
});
const Detached = z.object({ sessionId: z.string() });
const Download = z.object({ url: z.string(), suggestedFilename: z.string() });
const Read = z.object({ title: z.string(), text: z.string(), chars: z.int() });

const NOTHING = new Uint8Array(0);

/** One browser as its driver works with it: tabs in a context of their own, which goes with the connection. */
export class Pages {
  readonly #cdp: Cdp;
  readonly #waits: PageWaits;
  readonly #tabs = new Map<string, Tab>();
  readonly #opening = new Map<string, PromiseWithResolvers<Tab>>();
  readonly #notes: string[] = [];
  #context = "";
  #product = "";
  #made = 0;
  #uses = 0;

  /** Speaks over the wire; `open` comes before anything else. */
  constructor(
    wire: CdpWire,
    waits: PageWaits = { navigateMs: LIMITS.browserNavigateMs, commandMs: LIMITS.browserCommandMs },
  ) {
    this.#waits = waits;
    this.#cdp = new Cdp(wire, (event) => this.#take(event));
  }

  /** Settles when the browser is gone. */
  get closed(): Promise<void> {
    return this.#cdp.closed;
  }

  /** What its tabs fetch goes through the proxy, where one is given. Throws AppError `tool_crashed`, `tool_timeout`, `protocol` for what is no browser. */
  async open(proxyServer?: string): Promise<void> {
    const ask = <T>(method: string, params: object, result: z.ZodType<T>) =>
      this.#cdp.send(method, { ...params }, { result, timeoutMs: LIMITS.browserStartMs });
    this.#product = (await ask("Browser.getVersion", {}, Version)).product;
    const way = proxyServer === undefined ? {} : { proxyServer, proxyBypassList: "<-loopback>" };
    const own = await ask("Target.createBrowserContext", { disposeOnDetach: true, ...way }, Context);
    this.#context = own.browserContextId;
    const browserContextId = this.#context;
    await ask("Browser.setDownloadBehavior", { behavior: "deny", browserContextId, eventsEnabled: true }, DONE);
    await ask("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: true, flatten: true }, DONE);
  }

  /** Does what is asked, one at a time. Throws AppError `tool_args_invalid`, `tool_failed`, `tool_timeout`, `tool_crashed`. */
  async run(ask: BrowserAsk): Promise<LinkAnswer> {
    if (ask.action === "tabs" || ask.action === "health") return this.#answer([this.#list(ask.action)]);
    const tab = await this.#tabFor(ask);
    tab.begin(++this.#uses);
    try {
      const { parts, content } = await this.#runIn(tab, ask);
      return this.#answer([`Tab ${tab.id}: ${tab.url.slice(0, LIMITS.urlCharsMax)}`, ...parts], content);
    } catch (error) {
      if (error instanceof AppError && error.code === "tool_timeout") {
        tab.end("The page did not answer; the tab was closed.");
      }
      // What happened on the way says more than that the tab is gone.
      if (!tab.isGone) throw error;
      return this.#answer([`Tab ${tab.id} is closed.`]);
    }
  }

  async #runIn(
    tab: Tab,
    ask: BrowserAsk,
  ): Promise<{ readonly parts: readonly string[]; readonly content?: Uint8Array }> {
    switch (ask.action) {
      case "navigate":
        await tab.navigate(ask.url ?? "");
        return { parts: [toView((await tab.look()).lines)] };
      case "act": {
        await act(tab, ask);
        await tab.settle(ask.waitNav);
        const { before, lines } = await tab.look();
        return { parts: ["What changed:", toView(toDiff(before, lines)) || "nothing"] };
      }
      case "snapshot": {
        const root = ask.selector === undefined && ask.ref === undefined ? undefined : await findNode(tab, ask);
        const { before, lines } = await tab.look(root);
        return {
          parts: [toView(ask.diff === true && root === undefined ? toDiff(before, lines) : lines) || "nothing"],
        };
      }
      case "text": {
        const start = ask.start_char ?? 0;
        const end = start + LIMITS.browserViewCharsMax;
        const read = `(() => { const all = document.body?.innerText ?? ""; return {
          title: document.title.slice(0, ${LIMITS.browserNameCharsMax}), text: all.slice(${start}, ${end}), chars: all.length }; })()`;
        const { title, text, chars } = await tab.evaluate(read, Read);
        const more = chars > end ? [`${chars - end} characters more: go on with start_char ${end}`] : [];
        return { parts: [JSON.stringify(title), text.slice(0, LIMITS.browserViewCharsMax).toWellFormed(), ...more] };
      }
      default: {
        const { data } = await tab.send("Page.captureScreenshot", { format: "png" }, Picture, LIMITS.browserNavigateMs);
        const content = Uint8Array.fromBase64(data);
        if (content.length <= LIMITS.browserPictureBytesMax) return { parts: [], content };
        throw new AppError("tool_failed", `The picture has more than ${LIMITS.browserPictureBytesMax} bytes`);
      }
    }
  }

  /** The tab that is named, a new one, or the one that was used last. Only a navigation opens the first. */
  async #tabFor({ action, tabId }: BrowserAsk): Promise<Tab> {
    const living = [...this.#tabs.values()].filter(({ isGone }) => !isGone);
    if (tabId !== undefined && tabId !== "new") {
      const named = living.find(({ id }) => id === tabId);
      if (named !== undefined) return named;
      throw new AppError("tool_failed", "There is no such tab: see action tabs");
    }
    const last = living.toSorted((a, b) => b.usedAt - a.usedAt)[0];
    if (tabId === undefined && last !== undefined) return last;
    if (action !== "navigate") throw new AppError("tool_failed", "No page is open: navigate first");
    if (living.length >= LIMITS.browserTabsMax) {
      throw new AppError("tool_failed", `${LIMITS.browserTabsMax} tabs are open: use one of them by its tabId`);
    }
    return await this.#openTab();
  }

  async #openTab(): Promise<Tab> {
    const params = { url: "about:blank", browserContextId: this.#context };
    const { targetId } = await this.#cdp.send("Target.createTarget", params, { result: Created });
    const late = new AppError("tool_timeout", "The browser opened no tab in time");
    const opened = this.#openingOf(targetId);
    const timer = setTimeout(() => opened.reject(late), LIMITS.browserCommandMs);
    return await opened.promise.finally(() => {
      clearTimeout(timer);
      this.#opening.delete(targetId);
    });
  }

  /** The browser may tell of a tab before it says that it made it. */
  #openingOf(targetId: string): PromiseWithResolvers<Tab> {
    const opening = this.#opening.get(targetId) ?? Promise.withResolvers<Tab>();
    this.#opening.set(targetId, opening);
    return opening;
  }

  #take(event: CdpEvent): void {
    const { method, params, sessionId } = event;
    if (method === "Target.attachedToTarget") return this.#attach(Attached.parse(params));
    if (method === "Target.detachedFromTarget") {
      const gone = Detached.parse(params).sessionId;
      const tab = this.#tabs.get(gone);
      if (tab === undefined) return;
      tab.end("The tab was closed.");
      for (const note of tab.notes.splice(0)) this.#note(note);
      this.#tabs.delete(gone);
      this.#opening.delete(tab.targetId);
    } else if (method === "Browser.downloadWillBegin") {
      const { url, suggestedFilename } = Download.parse(params);
      const name = JSON.stringify(suggestedFilename.slice(0, LIMITS.browserNameCharsMax));
      this.#note(
        `The page offered a download, ${name} from ${url.slice(0, LIMITS.browserNameCharsMax)}; it was refused.`,
      );
    } else if (sessionId !== undefined) this.#tabs.get(sessionId)?.take(event);
  }

  #attach({ sessionId, targetInfo: { targetId, type, browserContextId } }: z.infer<typeof Attached>): void {
    const isOurs = browserContextId === this.#context;
    if (type !== "page" || !isOurs) {
      // Of a browser that a person runs, or a worker: let go at once.
      const go = this.#cdp.send("Runtime.runIfWaitingForDebugger", {}, { result: DONE, sessionId });
      go.finally(() => this.#cdp.send("Target.detachFromTarget", { sessionId }, { result: DONE })).catch(() => {});
      return;
    }
    if (this.#tabs.size >= LIMITS.browserTabsMax) {
      this.#note("The page opened more windows than there may be; they were closed.");
      this.#cdp.send("Target.closeTarget", { targetId }, { result: DONE }).catch(() => {});
      return;
    }
    const tab = new Tab(this.#cdp, { id: `t${++this.#made}`, targetId, sessionId, waits: this.#waits });
    this.#tabs.set(sessionId, tab);
    const opening = this.#openingOf(targetId);
    // Of a popup nobody waits for it.
    opening.promise.catch(() => {});
    tab.open().then(() => opening.resolve(tab), (error) => opening.reject(error));
  }

  /** Between two actions a page may go on for ever: what it does is told as far as it can be shown. */
  #note(text: string): void {
    if (this.#notes.length <= LIMITS.browserNotesMax) this.#notes.push(text);
  }

  #list(action: "tabs" | "health"): string {
    const living = [...this.#tabs.values()].filter(({ isGone }) => !isGone);
    if (action === "health") return `${this.#product} runs with ${living.length} of ${LIMITS.browserTabsMax} tabs.`;
    const lines = living.map(({ id, url }) => `${id}: ${url.slice(0, LIMITS.browserNameCharsMax)}`);
    return lines.length === 0 ? "No tab is open." : lines.join("\n");
  }

  #answer(parts: readonly string[], content: Uint8Array = NOTHING): LinkAnswer {
    const all = [...this.#notes.splice(0), ...[...this.#tabs.values()].flatMap(({ notes }) => notes.splice(0))];
    const notes = [...new Set(all)];
    const shown = notes.slice(0, LIMITS.browserNotesMax);
    const more = notes.length > shown.length ? ["More of this kind happened."] : [];
    return { body: { text: [...parts, ...shown, ...more].join("\n") }, content };
  }
}
