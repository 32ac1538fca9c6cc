/** What the demo can write about a topic. */
export type Piece = "haiku" | "poem" | "note";

const TOPIC_CHARS_MAX = 120;

/** Words that fill up a line after the topic, by syllables. */
const FILL: readonly (readonly string[])[] = [
  [""],
  ["glow", "drift", "wait", "turn", "hum"],
  ["at dawn", "stand still", "in wind", "and salt", "once more"],
  ["in the dusk", "after rain", "and the moon", "without sound", "far from here"],
  ["in morning light", "under the stars", "before the storm", "and evening wind", "beyond the hill"],
];

const FIVE = [
  "nothing else is said",
  "the day lets it go",
  "leaves answer the rain",
  "a bird knows the rest",
  "night folds its blue cloth",
  "and then, a long breath",
  "silence learns to walk",
  "we listen and stay",
] as const;

const SEVEN = [
  "the old stones keep their own time",
  "a slow light crosses the floor",
  "what was far is close again",
  "small things gather in the dark",
  "wind writes its name and moves on",
  "the path bends where no one looks",
  "a door stands open all night",
  "each drop remembers the cloud",
] as const;

/**
 * A text about a topic, ending with a newline. Deterministic: the same piece and topic give the same text. The topic stands in it once,
 * as it was written, so that a person can replace it. A haiku has 5-7-5 syllables as far as `countSyllables` knows; a topic of more
 * than seven keeps its line to itself.
 */
export function writePiece(piece: Piece, topic: string): string {
  const about = topic.replace(/\s+/g, " ").trim().slice(0, TOPIC_CHARS_MAX) || "nothing in particular";
  const pick = picker(about);
  if (piece === "haiku") return `${haiku(about, pick).join("\n")}\n`;
  if (piece === "poem") {
    const second = haiku("", pick);
    return `${[...haiku(about, pick), "", ...second].join("\n")}\n`;
  }
  return `Note about ${about}\n\n- ${pick(SEVEN)}\n- ${pick(SEVEN)}\n- ${pick(FIVE)}\n`;
}

function haiku(topic: string, pick: <T extends string>(list: readonly T[]) => T): string[] {
  const syllables = countSyllables(topic);
  if (topic === "") return [pick(FIVE), pick(SEVEN), pick(FIVE)];
  if (syllables <= 5) return [`${topic} ${pick(FILL[5 - Math.max(1, syllables)]!)}`.trimEnd(), pick(SEVEN), pick(FIVE)];
  return [pick(FIVE), `${topic} ${pick(FILL[Math.max(0, 7 - syllables)]!)}`.trimEnd(), pick(FIVE)];
}

/** Syllables of English text, by groups of vowels; a silent e does not count, a number or a word without vowels counts one. */
export function countSyllables(text: string): number {
  let sum = 0;
  for (const word of text.toLowerCase().normalize("NFD").match(/[\p{L}\p{M}\p{N}]+/gu) ?? []) {
    const bare = word.replace(/\p{M}/gu, "").replace(
      /(?<=[a-z]{2})e(s|d)?$/,
      (end, letter: string | undefined, at: number) => {
        // -ted and -ses are spoken, -le after a consonant too.
        const before = word[at - 1] ?? "";
        return (letter === "d" && /[td]/.test(before)) || (letter === "s" && /[sxzcg]/.test(before)) ||
            (!letter && before === "l" && !/[aeiouy]/.test(word[at - 2] ?? "a"))
          ? end
          : letter ?? "";
      },
    );
    sum += bare.match(/[aeiouy]+|[^\p{ASCII}]/gu)?.length ?? 1;
  }
  return sum;
}

/** Picks from lists, never the same line twice, never one that holds the topic. Seeded by FNV-1a of the topic. */
function picker(topic: string): <T extends string>(list: readonly T[]) => T {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(topic)) state = Math.imul(state ^ byte, 0x01000193) >>> 0;
  const used = new Set<string>();
  const holdsTopic = (line: string) => line.toLowerCase().includes(topic.toLowerCase());
  return (list) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    const start = state % list.length;
    const order = list.map((_, at) => list[(start + at) % list.length]!);
    const chosen = order.find((line) => !used.has(line) && !holdsTopic(line)) ?? order[0]!;
    used.add(chosen);
    return chosen;
  };
}
