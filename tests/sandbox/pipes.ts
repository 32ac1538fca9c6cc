import { ByteReader } from "#/lib/byte_reader.ts";

/** The two ends of a pair of streams. */
export interface Pipes {
  readonly runner: { readonly input: ByteReader; readonly output: WritableStream<Uint8Array> };
  readonly guest: { readonly input: ByteReader; readonly output: WritableStream<Uint8Array> };
}

/** Two connected streams that hold `chunks` writes each before they push back. */
export function openPipes(chunks = 1): Pipes {
  const up = new TransformStream<Uint8Array, Uint8Array>({}, { highWaterMark: chunks }, { highWaterMark: chunks });
  const down = new TransformStream<Uint8Array, Uint8Array>({}, { highWaterMark: chunks }, { highWaterMark: chunks });
  return {
    runner: { input: new ByteReader(up.readable), output: down.writable },
    guest: { input: new ByteReader(down.readable), output: up.writable },
  };
}
