/** Names longer than this are compared by their start only. */
const COMPARED_CHARS_MAX = 64;

/**
 * The candidate that a slip of the fingers may have meant: the one with the fewest insertions, deletions, replacements and swaps of
 * neighbours, when these are at most a third of the longer name (and always at most 8). The first of equals; undefined when none is near.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  return nearestNames(name, candidates, 1)[0];
}

/** At most `countMax` such candidates, the nearest first, equals in the order in which they came. */
export function nearestNames(name: string, candidates: Iterable<string>, countMax: number): string[] {
  const wanted = name.slice(0, COMPARED_CHARS_MAX);
  const near: { candidate: string; distance: number }[] = [];
  for (const candidate of candidates) {
    const other = candidate.slice(0, COMPARED_CHARS_MAX);
    const distance = editDistance(wanted.toLowerCase(), other.toLowerCase());
    const allowed = Math.min(8, Math.max(1, Math.floor(Math.max(wanted.length, other.length) / 3)));
    if (distance <= allowed) near.push({ candidate, distance });
  }
  return near.sort((a, b) => a.distance - b.distance).slice(0, countMax).map(({ candidate }) => candidate);
}

/** Optimal string alignment (Damerau–Levenshtein without overlapping swaps). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
