import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { sha256Hex } from "#/lib/sha256.ts";
import packed from "./o200k.txt" with { type: "text" };

/** How o200k_base cuts a text before it merges bytes (tiktoken_ext/openai_public.py; the case-insensitive endings are written out). */
const PIECES =
  /[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?:'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

/** Of o200k.txt, which `deno task vocabulary` writes: how many tokens, and the hash of what is packed. Text, because JSON costs a guest's start 2 ms. */
const TOKENS = 199_998;
const SHA256 = "440741350e7cfa1c0f4869ce742d1b043550adbda5187adcac9e787edac6fba9";

/** Greater than any rank. */
const NO_TOKEN = 0xffff_ffff;

const encoder = new TextEncoder();

/**
 * Opens the tokenizer of OpenAI's models since GPT-4o: a function that gives the number of tokens of a text. Special tokens are text like any
 * other. The time is linear in the text, whatever it holds: the text is cut into `tokenBlockCharsMax`, and what the vocabulary does not cut
 * into `tokenPieceBytesMax`, which costs at most two tokens a cut. Throws AppError `internal` for a vocabulary that is not the one that was packed.
 *
 * Ours, because the libraries hold the vocabulary as objects: 95 MB and 30 MB on disk for the best of them, and 24 s for 200,000 times "a"
 * (gpt-tokenizer 4.0.0). This one holds it in three typed arrays.
 */
export async function openTokenizer(): Promise<(text: string) => number> {
  const unpacked = new Blob([Uint8Array.fromBase64(packed)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const raw = await new Response(unpacked).bytes();
  if (await sha256Hex(raw) !== SHA256) throw new AppError("internal", "the tokenizer's vocabulary is damaged");
  const tokenizer = new Tokenizer(new Vocabulary(raw, TOKENS));
  return (text) => tokenizer.count(text);
}

/** Ranks by bytes: an open hash table over one buffer. A token is its bytes, its rank the order of merges. */
class Vocabulary {
  readonly #bytes: Uint8Array;
  /** Where each token begins in the buffer; the last one is its end. */
  readonly #starts: Uint32Array;
  /** Rank + 1, or 0 for a free place. */
  readonly #table: Uint32Array;

  /** `raw`: a length for each token, then the bytes of all. */
  constructor(raw: Uint8Array, tokens: number) {
    this.#bytes = raw.subarray(tokens);
    this.#starts = new Uint32Array(tokens + 1);
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(tokens * 2)));
    for (let rank = 0; rank < tokens; rank++) {
      const [start, end] = [this.#starts[rank]!, this.#starts[rank]! + raw[rank]!];
      this.#starts[rank + 1] = end;
      let place = this.#place(this.#bytes, start, end);
      while (this.#table[place] !== 0) place = this.#next(place);
      this.#table[place] = rank + 1;
    }
  }

  /** The rank of `bytes` from `start` to before `end`, or NO_TOKEN. */
  rank(bytes: Uint8Array, start: number, end: number): number {
    for (let place = this.#place(bytes, start, end);; place = this.#next(place)) {
      const next = this.#table[place]!;
      if (next === 0) return NO_TOKEN;
      const token = this.#starts[next - 1]!;
      if (this.#starts[next]! - token !== end - start) continue;
      let at = start;
      while (at < end && this.#bytes[token + at - start] === bytes[at]) at++;
      if (at === end) return next - 1;
    }
  }

  #next(place: number): number {
    return (place + 1) & (this.#table.length - 1);
  }

  /** FNV-1a. */
  #place(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0x811c_9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x0100_0193);
    return (hash ^ (hash >>> 15)) & (this.#table.length - 1);
  }
}

class Tokenizer {
  readonly #vocabulary: Vocabulary;
  /** UTF-8 of the piece at hand. */
  readonly #bytes = new Uint8Array(LIMITS.tokenBlockCharsMax * 3);
  readonly #starts = new Uint16Array(LIMITS.tokenPieceBytesMax + 1);
  /** Of each part, the rank of its merge with the next one. */
  readonly #merges = new Uint32Array(LIMITS.tokenPieceBytesMax + 1);

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  count(text: string): number {
    let tokens = 0;
    for (let at = 0; at < text.length;) {
      let end = Math.min(text.length, at + LIMITS.tokenBlockCharsMax);
      // Not between the halves of a pair.
      if (end < text.length && (text.charCodeAt(end) & 0xfc00) === 0xdc00) end--;
      for (const [piece] of text.slice(at, end).matchAll(PIECES)) tokens += this.#countPiece(piece);
      at = end;
    }
    return tokens;
  }

  #countPiece(piece: string): number {
    const { written } = encoder.encodeInto(piece, this.#bytes);
    let tokens = 0;
    for (let at = 0; at < written; at += LIMITS.tokenPieceBytesMax) {
      tokens += this.#merge(at, Math.min(written, at + LIMITS.tokenPieceBytesMax));
    }
    return tokens;
  }

  /** Merges neighbours, the lowest rank first, until no two of them are a token. */
  #merge(start: number, end: number): number {
    const [vocabulary, bytes, starts, merges] = [this.#vocabulary, this.#bytes, this.#starts, this.#merges];
    if (vocabulary.rank(bytes, start, end) !== NO_TOKEN) return 1;
    let parts = end - start;
    for (let i = 0; i <= parts; i++) starts[i] = start + i;
    const rankAt = (i: number) => i + 2 > parts ? NO_TOKEN : vocabulary.rank(bytes, starts[i]!, starts[i + 2]!);
    for (let i = 0; i < parts; i++) merges[i] = rankAt(i);
    while (true) {
      let best = 0;
      for (let i = 1; i < parts; i++) if (merges[i]! < merges[best]!) best = i;
      if (merges[best] === NO_TOKEN) return parts;
      starts.copyWithin(best + 1, best + 2, parts + 1);
      merges.copyWithin(best + 1, best + 2, parts);
      parts--;
      merges[best] = rankAt(best);
      if (best > 0) merges[best - 1] = rankAt(best - 1);
    }
  }
}
