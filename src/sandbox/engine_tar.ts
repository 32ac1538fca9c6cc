const BLOCK = 512;

/**
 * Files as a tar archive (POSIX ustar), by name; mode 0644, or 0755 for what begins with `#!`; owner 0, time 0, so that equal files are an equal
 * archive. Throws RangeError for a name of more than 100 bytes or a file of 8 GiB.
 */
export function toTar(files: Readonly<Record<string, Uint8Array>>): Uint8Array<ArrayBuffer> {
  const parts: [head: Uint8Array, content: Uint8Array][] = Object.entries(files)
    .map(([name, content]) => [toHead(name, content), content]);
  const out = new Uint8Array(parts.reduce((sum, [, { length }]) => sum + BLOCK + padded(length), 2 * BLOCK));
  let at = 0;
  for (const [head, content] of parts) {
    out.set(head, at);
    out.set(content, at + BLOCK);
    at += BLOCK + padded(content.length);
  }
  return out;
}

function padded(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}

function toHead(name: string, content: Uint8Array): Uint8Array {
  const head = new Uint8Array(BLOCK);
  const put = (at: number, text: string) => head.set(new TextEncoder().encode(text), at);
  if (new TextEncoder().encode(name).length > 100 || content.length >= 8 ** 11) throw new RangeError(`tar: ${name}`);
  put(0, name);
  put(100, content[0] === 35 && content[1] === 33 ? "0000755\0" : "0000644\0");
  put(108, "0000000\0".repeat(2));
  put(124, `${content.length.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`);
  // The sum is taken with blanks in its own place.
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\x0000");
  put(148, `${head.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `);
  return head;
}
