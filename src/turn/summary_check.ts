import { LIMITS } from "#/core/limits.ts";
import type { HistoryMessage } from "#/turn/history.ts";
import type { Summary } from "#/turn/notes.ts";
import { findItems, holdsWhole, type Item, type Said, SPEAKERS, toComparable } from "#/turn/summary_items.ts";

/** Stands above what is kept word for word. */
export const KEPT = "Kept word for word:";
/** Stands behind the number of what did not fit. */
export const LEFT = " more details are in the log of this conversation only.";

/** What the replaced part says, the oldest first, the former summary before it. Pure. */
export function toSaid(replaced: readonly HistoryMessage[], summary: Summary | undefined): Said[] {
  const before: Said[] = summary === undefined ? [] : [{ by: "notes", text: withoutMarks(summary.text) }];
  return [
    ...before,
    ...replaced.flatMap(({ message }): Said[] => {
      switch (message.role) {
        case "user":
          return [{ by: "person", text: message.content }];
        case "assistant":
          return [
            { by: "assistant", text: message.content, isStep: message.toolCalls.length > 0 },
            ...message.toolCalls.map((call): Said => ({ by: "call", text: call.arguments })),
          ];
        case "tool":
          return [{ by: "result", text: message.content }];
        case "system":
          return [];
      }
    }),
  ];
}

/** The former summary without its own lines about itself. */
function withoutMarks(text: string): string {
  return text.split("\n").filter((line) => line !== KEPT && !line.endsWith(LEFT)).join("\n");
}

/**
 * What the replaced part holds and the summary does not, each once, the most important first: what the person said before the former
 * summary, that before the assistant, calls and results, and of each the newest first. At most `summaryItemsMax`. Pure.
 */
export function checkSummary(replaced: readonly Said[], text: string): Item[] {
  const summary = toComparable(text);
  const known = new Set<string>();
  const missing: Item[] = [];
  for (const by of SPEAKERS) {
    for (const said of replaced.toReversed()) {
      if (said.by !== by) continue;
      // Notes are in the order of their importance already.
      const items = findItems(said);
      for (const item of by === "notes" ? items : items.toReversed()) {
        const key = toKey(item);
        if (known.has(key)) continue;
        known.add(key);
        if (known.size > LIMITS.summaryItemsMax) return missing;
        const isThere = item.kind === "commitment" ? summary.includes(key) : holdsWhole(summary, key);
        if (!isThere) missing.push(item);
      }
    }
  }
  return missing;
}

function toKey({ kind, text }: Item): string {
  const key = toComparable(text).trim();
  return kind === "commitment" ? key.replace(/[.!?…。！？\s]+$/u, "") : key;
}

const LABELS: Readonly<Record<Item["by"], string>> = {
  person: "Person",
  notes: "Earlier",
  assistant: "Assistant",
  call: "Call",
  result: "From a tool",
};

/** What is kept word for word, and how many items did not fit. */
export interface Verbatim {
  /** Empty when nothing is to be kept. */
  readonly text: string;
  readonly left: number;
}

/**
 * The sentences that the items stood in, a line each, in the same order, together at most `charsMax` long; a result of a tool gives the bare item, since its
 * sentences may be anyone's. A sentence that holds several items is kept once. Pure.
 */
export function toVerbatim(missing: readonly Item[], charsMax: number): Verbatim {
  const lines: string[] = [];
  let kept = "";
  let chars = 0;
  let left = 0;
  for (const item of missing) {
    const key = toKey(item);
    if (item.kind === "commitment" ? kept.includes(key) : holdsWhole(kept, key)) continue;
    const line = toLine(item);
    // One that is part of another goes.
    const part = lines.findIndex((other) => line.includes(other));
    const freed = part === -1 ? 0 : lines[part]!.length + 1;
    if (chars - freed + line.length + 1 > charsMax) {
      left++;
      continue;
    }
    chars += line.length + 1 - freed;
    if (part === -1) lines.push(line);
    else lines[part] = line;
    kept += `${toComparable(line)}\n`;
  }
  return { text: lines.join("\n"), left };
}

function toLine(item: Item): string {
  const { by, text, line } = item;
  if (by === "result" || by === "call") return `- ${LABELS[by]}: ${text}`;
  const said = line.replace(/^\s*[-•]\s+/, "").trim();
  // A line of the former notes says already who said it.
  if (by === "notes" && /^(Person|Assistant|Earlier|Call|From a tool): /.test(said)) return `- ${clip(said, text)}`;
  return `- ${LABELS[by]}: ${clip(said, text)}`;
}

/** So much of the line as may be kept, with the item in it. */
function clip(line: string, item: string): string {
  // A sentence may be cut, a path may not.
  const max = line === item ? LIMITS.summaryLineCharsMax : Math.max(LIMITS.summaryLineCharsMax, item.length);
  if (line.length <= max) return line;
  const at = Math.max(0, line.indexOf(item));
  const from = Math.max(0, Math.min(at - Math.max(0, Math.floor((max - item.length) / 2)), line.length - max));
  const part = line.slice(from, from + max).toWellFormed();
  return `${from > 0 ? "… " : ""}${part}${from + max < line.length ? " …" : ""}`;
}
