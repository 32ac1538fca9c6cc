import { Blocks, type Container } from "./blocks.ts";
import { type HtmlSink, readAttributes, readHtml } from "./html.ts";
import { Table } from "./table.ts";
import { BLOCKS, IMPLIED_END, isHidden, MARKS, SKIPPED, VOID, VOID_BLOCKS } from "./elements.ts";
import { collapse, longestTicks, toLanguage, toMarked, toTidy } from "./inline.ts";
import { type Resolve, toResolver } from "./url.ts";

/** A page as text. */
export interface Page {
  readonly title: string;
  readonly text: string;
  /** There was more than `charsMax`. */
  readonly isCut: boolean;
}

/** How a page is written. */
export interface PageOptions {
  /** Address of the page: links are resolved against it. */
  readonly url: string;
  /** Reading ends when this much is written, in UTF-16 code units. */
  readonly charsMax: number;
  /** Without marks, links and pictures. */
  readonly isPlain?: boolean;
}

/** A page as Markdown, or as plain text. Linear in its length; reads no further than it has to. */
export function toPage(html: string, options: PageOptions): Page {
  const writer = new PageWriter(options);
  readHtml(html, writer);
  return writer.finish();
}

/** Tables in tables that are read as such; a deeper one is only its text. */
const TABLE_DEPTH_MAX = 8;

/** Cells of one page; what comes later goes into the last of them. */
const CELLS_MAX = 50_000;
/** Elements between an item and the one before it, when the end of that one is left out. */
const LOOK_BACK_MAX = 16;
/** Elements that are open at once. */
const OPEN_MAX = 512;

/** An element that is open. */
interface Open {
  readonly name: string;
  close(): void;
}

/** Text inside of an inline element, from a piece on. */
interface Mark {
  readonly kind: string;
  readonly href: string;
  count: number;
  at: number;
}

const nothing = () => {};

class PageWriter implements HtmlSink {
  readonly #options: PageOptions;
  readonly #stack: Open[] = [];
  /** How many of each name are open: an end tag that closes nothing does not walk the stack. */
  readonly #openCount = new Map<string, number>();
  readonly #marks: Mark[] = [];
  readonly #lists: { readonly isOrdered: boolean; next: number }[] = [];
  readonly #tables: Table[] = [];
  #blocks = new Blocks();
  #cells = 0;
  #pieces: string[] = [];
  #prefix = "";
  #isInTitle = false;
  #skipping = 0;
  /** Inside of `pre`: its language. */
  #pre: { language: string } | undefined;
  #resolve: Resolve;
  #hasBase = false;
  #title = "";
  #chars = 0;

  constructor(options: PageOptions) {
    this.#options = options;
    this.#resolve = toResolver(options.url);
  }

  get isFull(): boolean {
    return this.#chars > this.#options.charsMax;
  }

  finish(): Page {
    this.#closeTo(0);
    this.#flush();
    return {
      title: this.#title,
      text: this.#blocks.toString(),
      isCut: this.isFull,
    };
  }

  text(text: string): void {
    if (this.#isInTitle) this.#title ||= collapse(text).trim();
    else if (this.#skipping === 0) {
      this.#write(this.#pre === undefined ? collapse(text) : text);
    }
  }

  open(name: string, tag: string): void {
    const isBlock = BLOCKS.has(name) || VOID_BLOCKS.has(name);
    // Only a hidden paragraph is on the stack, and like every other one it ends where a block begins.
    if (isBlock && this.#stack.at(-1)?.name === "p") this.#closeTo(this.#stack.length - 1);
    if (name === "title") {
      this.#isInTitle = this.#skipping === 0;
    } else if (VOID.has(name)) {
      if (this.#skipping === 0) this.#openVoid(name, tag);
    } else if (SKIPPED.has(name) || isHidden(name, tag)) {
      this.#skipping++;
      this.#push(name, () => this.#skipping--);
    } else if (this.#skipping > 0) {
      this.#push(name, nothing);
    } else if (isBlock) this.#openBlock(name, tag);
    else this.#openInline(name, tag);
  }

  close(name: string): void {
    if (name === "title") this.#isInTitle = false;
    else if (this.#openCount.get(name)) this.#closeTo(this.#stack.findLastIndex((open) => open.name === name));
    else if (this.#skipping > 0) return;
    else if (name === "p" || name === "br") this.#flush();
    else this.#closeInline(name === "a" ? "a" : MARKS[name]);
  }

  #push(name: string, close: () => void): void {
    // A browser stops at 512 as well; what is deeper is text without a place.
    if (this.#stack.length >= OPEN_MAX) return close();
    this.#stack.push({ name, close });
    this.#openCount.set(name, (this.#openCount.get(name) ?? 0) + 1);
  }

  #closeTo(depth: number): void {
    while (this.#stack.length > depth) {
      const { name, close } = this.#stack.pop()!;
      if (this.#skipping === 0) this.#flush();
      this.#openCount.set(name, this.#openCount.get(name)! - 1);
      close();
    }
  }

  #openVoid(name: string, tag: string): void {
    if (name === "br") this.#pieces.push("\n");
    else if (name === "hr") {
      this.#flush();
      if (!this.#options.isPlain) this.#add("---");
    } else if (name === "base" && !this.#hasBase) {
      const href = this.#resolve(readAttributes(tag).get("href") ?? "");
      if (href !== undefined) this.#resolve = toResolver(href);
      this.#hasBase = true;
    }
    if (name === "img" && this.#pre === undefined && !this.#options.isPlain) {
      const attributes = readAttributes(tag);
      const alt = collapse(attributes.get("alt") ?? "").trim();
      const url = this.#resolve(attributes.get("src") ?? "");
      if (alt !== "") {
        this.#write(url === undefined ? alt : `![${alt}](${url})`);
      }
    }
  }

  #openBlock(name: string, tag: string): void {
    this.#closeImplied(name);
    this.#flush();
    if (VOID_BLOCKS.has(name)) return;
    if (name === "ul" || name === "ol" || name === "menu") {
      const start = name === "ol" ? Number.parseInt(readAttributes(tag).get("start") ?? "1") : 1;
      this.#lists.push({
        isOrdered: name === "ol",
        next: Number.isSafeInteger(start) ? start : 1,
      });
      this.#push(name, () => this.#lists.pop());
    } else if (name === "li") this.#openItem();
    else if (name === "blockquote") {
      const container = this.#enter("> ", "> ");
      this.#push(name, () => this.#blocks.leave(container));
    } else if (name === "dd") {
      const container = this.#enter(": ", "  ");
      this.#push(name, () => this.#blocks.leave(container));
    } else if (name === "pre") {
      this.#pre = { language: toLanguage(tag) };
      this.#push(name, () => this.#pre = undefined);
    } else if (
      name === "table" || name === "tr" || name === "td" || name === "th"
    ) this.#openTable(name);
    else if (/^h[1-6]$/.test(name)) {
      this.#prefix = this.#options.isPlain ? "" : `${"#".repeat(Number(name[1]))} `;
      this.#push(name, () => this.#prefix = "");
    } else this.#push(name, nothing);
  }

  #enter(marker: string, indent: string): Container {
    return this.#options.isPlain && marker === "> " ? this.#blocks.enter("", "") : this.#blocks.enter(marker, indent);
  }

  #openItem(): void {
    const list = this.#lists.at(-1);
    const marker = list?.isOrdered === true ? `${list.next++}. ` : "- ";
    const container = this.#enter(marker, " ".repeat(marker.length));
    this.#push("li", () => this.#blocks.leave(container));
  }

  #openTable(name: "table" | "tr" | "td" | "th"): void {
    if (name === "table") {
      if (this.#tables.length >= TABLE_DEPTH_MAX) {
        return this.#push(name, nothing);
      }
      const around = this.#blocks;
      const table = new Table();
      this.#tables.push(table);
      this.#push(name, () => {
        this.#tables.pop();
        this.#blocks = around;
        for (const text of table.toBlocks()) around.add(text);
      });
      return;
    }
    const table = this.#tables.at(-1);
    if (name === "tr") table?.row();
    else if (table !== undefined && this.#cells++ < CELLS_MAX) this.#blocks = table.cell();
    this.#push(name, nothing);
  }

  /** Looks back over a few elements: a search through all that are open, at each tag, would be slow on purpose of a page. */
  #closeImplied(name: string): void {
    const implied = IMPLIED_END[name];
    if (implied === undefined) return;
    const floor = Math.max(0, this.#stack.length - LOOK_BACK_MAX);
    for (let at = this.#stack.length - 1; at >= floor; at--) {
      const open = this.#stack[at]!.name;
      if (implied.wall.includes(open)) return;
      if (implied.group.includes(open)) this.#closeTo(at);
    }
  }

  #openInline(name: string, tag: string): void {
    const kind = name === "a" ? "a" : MARKS[name];
    if (name === "code" && this.#pre !== undefined) {
      this.#pre.language ||= toLanguage(tag);
    }
    if (
      kind === undefined || this.#pre !== undefined || this.#options.isPlain
    ) return;
    if (kind === "a") {
      this.#closeInline("a");
      const href = this.#resolve(readAttributes(tag).get("href") ?? "");
      if (href !== undefined) {
        this.#marks.push({ kind, href, count: 1, at: this.#pieces.length });
      }
      return;
    }
    const open = this.#marks.find((mark) => mark.kind === kind);
    if (open === undefined) {
      this.#marks.push({ kind, href: "", count: 1, at: this.#pieces.length });
    } else open.count++;
  }

  #closeInline(kind: string | undefined): void {
    const index = this.#marks.findIndex((mark) => mark.kind === kind);
    if (index < 0 || --this.#marks[index]!.count > 0) return;
    const [mark] = this.#marks.splice(index, 1);
    this.#wrap(mark!);
    for (const other of this.#marks) {
      other.at = Math.min(other.at, this.#pieces.length);
    }
  }

  /** Puts the signs of an inline element around its text, blanks left outside; a text that is blank gets none. */
  #wrap(mark: Mark): void {
    const inner = this.#pieces.splice(mark.at).join("");
    const text = inner.trim();
    if (text === "") return void this.#pieces.push(inner);
    const marked = mark.kind === "a" ? `[${text.replaceAll("\n", " ")}](${mark.href})` : toMarked(mark.kind, text);
    this.#pieces.push(
      inner.slice(0, inner.indexOf(text[0]!)),
      marked,
      inner.slice(inner.trimEnd().length),
    );
  }

  #write(text: string): void {
    if (text === "") return;
    this.#pieces.push(text);
  }

  /** Ends the block: what is still open goes on in the next one, a link only here. */
  #flush(): void {
    if (this.#pieces.length === 0) return;
    for (let at = this.#marks.length - 1; at >= 0; at--) this.#wrap(this.#marks[at]!);
    const text = this.#pieces.join("");
    this.#pieces = [];
    for (const mark of this.#marks) mark.at = 0;
    if (this.#pre !== undefined) return this.#addCode(text);
    const tidy = toTidy(text);
    if (tidy === "") return;
    const at = this.#marks.findIndex((mark) => mark.kind === "a");
    if (at >= 0) this.#marks.splice(at, 1);
    this.#add(
      this.#prefix === "" ? tidy : this.#prefix + tidy.replaceAll("\n", " "),
    );
  }

  #addCode(text: string): void {
    const code = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replace(/^\n/, "").trimEnd();
    if (code === "") return;
    if (this.#options.isPlain) return this.#add(code);
    const fence = "`".repeat(Math.max(3, longestTicks(code) + 1));
    this.#add(`${fence}${this.#pre!.language}\n${code}\n${fence}`);
  }

  #add(text: string): void {
    // Counted low, so that what is kept is never less than what was asked for.
    this.#chars += this.#blocks.add(text) + 1;
  }
}
