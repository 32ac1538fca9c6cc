import { z } from "zod";
import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import type { Cdp, CdpEvent } from "#/sandbox/browser_cdp.ts";
import { AxNode, type SnapshotLine, toLines } from "#/sandbox/browser_snapshot.ts";

/** An answer that says nothing but that it was done. */
export const DONE = z.unknown();
const World = z.object({ executionContextId: z.int() });
const Evaluated = z.object({
  result: z.object({ value: z.unknown().optional(), objectId: z.string().optional() }),
  exceptionDetails: z.unknown().optional(),
});
const Navigated = z.object({ errorText: z.string().optional(), loaderId: z.string().optional() });
const Tree = z.object({ nodes: z.array(AxNode) });
interface Frame {
  readonly frame: { readonly id: string; readonly url: string };
  readonly childFrames?: readonly Frame[] | undefined;
}
const Frame: z.ZodType<Frame> = z.lazy(() =>
  z.object({ frame: z.object({ id: z.string(), url: z.string() }), childFrames: z.array(Frame).optional() })
);
const Frames = z.object({ frameTree: Frame });
const FrameNavigated = z.object({
  frame: z.object({ id: z.string(), parentId: z.string().optional(), url: z.string(), loaderId: z.string() }),
});
const Within = z.object({ frameId: z.string(), url: z.string() });
const Dialog = z.object({ type: z.string(), message: z.string() });

/** Resolves when the document has not changed for a moment, or after a while. Runs beside the page's own scripts, not among them. */
const SETTLE = `new Promise((resolve) => {
  const quiet = () => { clearTimeout(timer); timer = setTimeout(resolve, ${LIMITS.browserQuietMs}); };
  let timer = setTimeout(resolve, ${LIMITS.browserQuietMs});
  setTimeout(resolve, ${LIMITS.browserSettleMs});
  new MutationObserver(quiet).observe(document, { subtree: true, childList: true, attributes: true });
})`;
/** Tries at a page that leaves for another one under our hands. */
const MOVES_MAX = 5;
/** Documents that are remembered to have come since the action began. */
const ARRIVALS_MAX = 64;
/** What the main frame of a tab may show. The rest is the browser's own, or the machine's. */
const SHOWN = /^(?:https?|about|blob|chrome-error):/;

/** How long a page is waited for: for a navigation, and for one command. */
export interface PageWaits {
  readonly navigateMs: number;
  readonly commandMs: number;
}

/** One tab, seen from the driver. All that it says is a stranger's. */
export class Tab {
  readonly id: string;
  readonly targetId: string;
  readonly sessionId: string;
  readonly notes: string[] = [];
  url = "about:blank";
  isGone = false;
  /** Integer count of what it was used for, to find the one that was used last. */
  usedAt = 0;
  #cdp: Cdp;
  #waits: PageWaits;
  #frame = "";
  #dialogs = 0;
  #loaded = Promise.withResolvers<void>();
  #isLoaded = false;
  #moved = Promise.withResolvers<void>();
  /** By the loader that brings a document: resolves when it is there. */
  #arrivals = new Map<string, PromiseWithResolvers<void>>();
  #refs = new Map<number, string>();
  #nodes = new Map<string, number>();
  #refsMade = 0;
  #lines: readonly SnapshotLine[] = [];

  constructor(
    cdp: Cdp,
    of: { readonly id: string; readonly targetId: string; readonly sessionId: string; readonly waits: PageWaits },
  ) {
    [this.#cdp, this.#waits] = [cdp, of.waits];
    [this.id, this.targetId, this.sessionId] = [of.id, of.targetId, of.sessionId];
  }

  /** Asks the page. Throws as `Cdp.send`. */
  send<T>(
    method: string,
    params: Readonly<Record<string, unknown>>,
    result: z.ZodType<T>,
    timeoutMs = this.#waits.commandMs,
  ): Promise<T> {
    return this.#cdp.send(method, params, { result, sessionId: this.sessionId, timeoutMs });
  }

  /** Makes it tell what happens, and lets it run. */
  async open(): Promise<void> {
    const says = ["Page.enable", "DOM.enable", "Inspector.enable"].map((method) => this.send(method, {}, DONE));
    const chooser = this.send("Page.setInterceptFileChooserDialog", { enabled: true, cancel: true }, DONE);
    const frames = this.send("Page.getFrameTree", {}, Frames);
    // When it does not run, none of these is waited for, and one that fails unseen would end the driver.
    for (const one of [...says, chooser, frames]) one.catch(() => {});
    await this.send("Runtime.runIfWaitingForDebugger", {}, DONE);
    await Promise.allSettled([...says, chooser]);
    const { frame } = (await frames).frameTree;
    [this.#frame, this.url] = [frame.id, frame.url];
  }

  /** Something happened in it. */
  take({ method, params }: CdpEvent): void {
    if (method === "Page.frameNavigated") {
      const { frame } = FrameNavigated.parse(params);
      if (frame.parentId !== undefined) return;
      [this.#frame, this.url] = [frame.id, frame.url];
      // Whoever waits for the one before it waits for this one.
      if (this.#isLoaded) this.#awaitLoad();
      this.#arrival(frame.loaderId).resolve();
      // What the refs named is gone. Their numbers are not given again, so that an old one never means something new.
      this.#refs = new Map();
      this.#nodes = new Map();
      this.#moved.resolve();
    } else if (method === "Page.navigatedWithinDocument") {
      const { frameId, url } = Within.parse(params);
      if (frameId === this.#frame) this.url = url;
    } else if (method === "Page.loadEventFired") {
      this.#isLoaded = true;
      this.#loaded.resolve();
    } else if (method === "Inspector.targetCrashed") this.end("The page crashed.");
    else if (method === "Page.fileChooserOpened") this.notes.push("The page asked for a file; it got none.");
    else if (method === "Page.javascriptDialogOpening") this.#answerDialog(Dialog.parse(params));
  }

  /** It is gone, or goes: nobody waits for it. */
  end(note: string): void {
    if (this.isGone) return;
    this.isGone = true;
    this.notes.push(note);
    this.#cdp.lost(this.sessionId);
    this.#loaded.resolve();
    this.#moved.resolve();
    for (const arrival of this.#arrivals.values()) arrival.resolve();
    this.#cdp.send("Target.closeTarget", { targetId: this.targetId }, { result: DONE }).catch(() => {});
  }

  /** Before an action: what happens from now on is told with it. */
  begin(usedAt: number): void {
    this.usedAt = usedAt;
    this.#dialogs = 0;
    this.#awaitLoad();
    this.#moved = Promise.withResolvers();
    this.#arrivals.clear();
  }

  /** Goes to an address and waits until the page is there. Throws AppError `tool_failed`, `tool_timeout`, `tool_crashed`. */
  async navigate(url: string): Promise<void> {
    const until = AbortSignal.timeout(this.#waits.navigateMs);
    const { errorText, loaderId } = await this.send("Page.navigate", { url }, Navigated, this.#waits.navigateMs);
    if (errorText !== undefined) {
      // The rest could be a stranger's words, and an error stands outside of the marks.
      const why = /^net::[A-Z_0-9]{1,60}$/.exec(errorText)?.[0] ?? "it is refused";
      throw new AppError("tool_failed", `The page was not loaded: ${why}`);
    }
    if (loaderId !== undefined) {
      // A page that goes on moving is loaded again and again before ours is there.
      await this.#wait(this.#arrival(loaderId).promise, until);
      await this.#wait(this.#loaded.promise, until);
    }
    await this.settle();
  }

  /** After an action: waits for a navigation, when one is expected, and until the page is quiet. */
  async settle(waitNav = false): Promise<void> {
    if (waitNav) {
      const until = AbortSignal.timeout(this.#waits.navigateMs);
      await this.#wait(this.#moved.promise, until);
      await this.#wait(this.#loaded.promise, until);
    }
    await this.evaluate(SETTLE, z.unknown());
    if (SHOWN.test(this.url)) return;
    const scheme = /^[a-z-]{1,20}/.exec(this.url)?.[0] ?? "other";
    await this.send("Page.navigate", { url: "about:blank" }, DONE);
    throw new AppError(
      "tool_failed",
      `The page led to a ${scheme}: address; these are refused, and the tab is blank now`,
    );
  }

  /** A value of an expression beside the page's own scripts. Throws AppError `tool_failed`, `tool_timeout` for a page that is busy for ever. */
  async evaluate<T>(expression: string, result: z.ZodType<T>): Promise<T> {
    for (let moves = 0;; moves++) {
      try {
        const contextId = await this.world();
        const params = { expression, contextId, returnByValue: true, awaitPromise: true };
        const { result: value, exceptionDetails } = await this.send("Runtime.evaluate", params, Evaluated);
        if (exceptionDetails !== undefined) throw new AppError("tool_failed", "The page refused to be read");
        return result.parse(value.value);
      } catch (error) {
        const isMoved = error instanceof AppError && error.code === "tool_failed" &&
          /context|navigat/i.test(error.message);
        if (!isMoved) throw error;
        if (moves < MOVES_MAX) continue;
        // Not left open: it would be gone to another page before the next address is there.
        this.end("The page kept going to other pages; the tab was closed.");
        throw error;
      }
    }
  }

  /** A place for our scripts in the page of now, which sees its elements and none of its variables. */
  async world(): Promise<number> {
    const { executionContextId } = await this.send("Page.createIsolatedWorld", {
      frameId: this.#frame,
      worldName: "oxydra",
    }, World);
    return executionContextId;
  }

  /** The element of a ref. Throws AppError `tool_failed` for one that is of no snapshot of this page. */
  nodeOf(ref: string): number {
    const node = this.#nodes.get(ref);
    if (node !== undefined) return node;
    const name = /^e\d{1,9}$/.test(ref) ? ref : "That ref";
    throw new AppError("tool_failed", `${name} is of no element of this page as it is now: take a snapshot`);
  }

  /** Its elements as lines, with what was there at the last time. Throws AppError `tool_failed`, `tool_timeout`. */
  async look(
    root?: number,
  ): Promise<{ readonly before: readonly SnapshotLine[]; readonly lines: readonly SnapshotLine[] }> {
    const count = await this.evaluate("document.getElementsByTagName('*').length", z.int());
    if (count > LIMITS.browserElementsMax) {
      const most = `${count} elements, more than ${LIMITS.browserElementsMax}`;
      throw new AppError("tool_failed", `The page has ${most}: read it with action text, act on it by selector`);
    }
    const { frameTree } = await this.send("Page.getFrameTree", {}, Frames);
    const frames = framesOf(frameTree).slice(0, LIMITS.browserFramesMax);
    const lines: SnapshotLine[] = [];
    for (const { id, url } of root === undefined ? frames : frames.slice(0, 1)) {
      const isMain = id === frameTree.frame.id;
      if (!isMain) {
        lines.push({ text: `- frame ${JSON.stringify(url.slice(0, LIMITS.browserNameCharsMax))}`, isKey: true });
      }
      const { nodes } = await this.send("Accessibility.getFullAXTree", { frameId: id }, Tree);
      lines.push(...toLines(nodes, (node) => this.#toRef(node), root));
    }
    const before = this.#lines;
    if (root === undefined) this.#lines = lines;
    return { before, lines };
  }

  #awaitLoad(): void {
    [this.#loaded, this.#isLoaded] = [Promise.withResolvers(), false];
  }

  #arrival(loader: string): PromiseWithResolvers<void> {
    const found = this.#arrivals.get(loader);
    if (found !== undefined) return found;
    const arrival = Promise.withResolvers<void>();
    this.#arrivals.set(loader, arrival);
    // A page can go on moving between two actions, for days.
    if (this.#arrivals.size > ARRIVALS_MAX) this.#arrivals.delete(this.#arrivals.keys().next().value!);
    return arrival;
  }

  #toRef(node: number): string {
    const known = this.#refs.get(node);
    if (known !== undefined) return known;
    const ref = `e${++this.#refsMade}`;
    this.#refs.set(node, ref);
    this.#nodes.set(ref, node);
    return ref;
  }

  /** A dialog holds the page until it is answered: alerts are closed, questions get a no, and who never stops asking is closed. */
  #answerDialog({ type, message }: z.infer<typeof Dialog>): void {
    if (++this.#dialogs > LIMITS.browserDialogsMax) {
      return this.end("The page kept opening dialogs; the tab was closed.");
    }
    const said = message.slice(0, LIMITS.browserNameCharsMax).toWellFormed();
    this.notes.push(`The page opened a dialog (${type}): ${JSON.stringify(said)}; it was dismissed.`);
    const accept = type === "alert" || type === "beforeunload";
    this.send("Page.handleJavaScriptDialog", { accept }, DONE).catch(() => {});
  }

  async #wait(done: Promise<void>, until: AbortSignal): Promise<void> {
    if (until.aborted || this.isGone) return;
    const late = Promise.withResolvers<void>();
    const onAbort = () => {
      this.notes.push("The page had not finished loading; this is what was there.");
      late.resolve();
    };
    until.addEventListener("abort", onAbort, { once: true });
    await Promise.race([done, late.promise]);
    until.removeEventListener("abort", onAbort);
  }
}

function framesOf({ frame, childFrames = [] }: Frame): Frame["frame"][] {
  return [frame, ...childFrames.flatMap(framesOf)];
}
