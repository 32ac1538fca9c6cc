import type { ApprovalAnswer, ApprovalCard, GivenAnswer } from "#/core/capability.ts";
import { toOneLine, toPrintable } from "#/lib/printable.ts";

/** Characters of a line of a card; a path or an address is told whole. */
const LINE_CHARS = 1_200;
const HOUR_MS = 3_600_000;

const KEYS: Readonly<Record<string, ApprovalAnswer>> = {
  y: "once",
  yes: "once",
  s: "session",
  h: "until",
  n: "no",
  no: "no",
  never: "never",
};

/** A card as a person reads it before they decide, with the question. Pure; `now` in ms UTC. */
export function toCardText(card: ApprovalCard, now: number): string {
  const prompt = "  y yes, this once · s yes, in this session · h yes, for an hour · n no · never: ";
  return [`? ${toCardLines(card, now).join("\n")}`, prompt].join("\n");
}

/** What is asked, why, and until when, a line each. Pure. */
export function toCardLines(card: ApprovalCard, now: number): string[] {
  const line = (text: string) => toPrintable(toOneLine(text, LINE_CHARS));
  const minutes = Math.max(1, Math.round((card.expiresAt - now) / 60_000));
  const [tool, args] = [card.tool.sha256.slice(0, 12), card.argsSha256.slice(0, 12)];
  return [
    `${line(card.tool.name)} asks for`,
    ...card.lines.map((text) => `    ${line(text)}`),
    `  because ${line(card.reason)}`,
    `  (tool ${tool}, arguments ${args}; without an answer in ${minutes} min it is a no)`,
  ];
}

/** What a person typed, as an answer; undefined when it is none. Only what is clear counts: Enter alone is no answer. Pure. */
export function toAnswer(text: string, id: string, now: number): GivenAnswer | undefined {
  const word = text.trim().toLowerCase();
  const answer = Object.hasOwn(KEYS, word) ? KEYS[word] : undefined;
  if (answer === undefined) return undefined;
  return answer === "until" ? { id, answer, until: now + HOUR_MS } : { id, answer };
}
