/** One block of Markdown, without what stands before its lines. */
interface Block {
  readonly text: string;
  /** Begins a list item: no blank line between it and the item before. */
  readonly isItem: boolean;
}

/** Lists and quotes below one another whose indent is shown; deeper ones look like the deepest. */
const INDENT_DEPTH_MAX = 8;

/** What stands around a block: a quote, or an item of a list. */
export interface Container {
  /** Before the first line of the first block: `- `, `3. `, `> `. */
  readonly marker: string;
  /** Before every other line. */
  readonly indent: string;
  isOpened: boolean;
}

/** Blocks in order, each with the marks of the lists and quotes around it. One page is one; each cell of a table is one. */
export class Blocks {
  readonly #blocks: Block[] = [];
  readonly #containers: Container[] = [];

  /** Enters a quote or a list item. */
  enter(marker: string, indent: string): Container {
    const container = { marker, indent, isOpened: indent === marker };
    this.#containers.push(container);
    return container;
  }

  /** Leaves a container, and what is still open inside of it. */
  leave(container: Container): void {
    const at = this.#containers.lastIndexOf(container);
    if (at >= 0) this.#containers.length = at;
  }

  /** Adds a block; returns its length with what stands before its lines. */
  add(text: string): number {
    let first = "";
    let rest = "";
    let isItem = false;
    for (const container of this.#containers.slice(0, INDENT_DEPTH_MAX)) {
      first += container.isOpened ? container.indent : container.marker;
      rest += container.indent;
      isItem ||= !container.isOpened;
      container.isOpened = true;
    }
    const whole = first +
      (text.includes("\n") ? text.replaceAll("\n", `\n${rest}`) : text);
    this.#blocks.push({ text: whole, isItem });
    return whole.length;
  }

  /** How many there are. */
  get count(): number {
    return this.#blocks.length;
  }

  /** Texts, for a table that decides late what it is. */
  get texts(): readonly string[] {
    return this.#blocks.map(({ text }) => text);
  }

  /** The whole, with blank lines between blocks and none between items. */
  toString(): string {
    let out = "";
    for (const [index, { text, isItem }] of this.#blocks.entries()) {
      if (index > 0) {
        out += isItem && this.#blocks[index - 1]!.isItem ? "\n" : "\n\n";
      }
      out += text;
    }
    return out;
  }
}
