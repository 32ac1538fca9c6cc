import { AppError } from "#/core/error.ts";
import { concatBytes } from "#/lib/bytes.ts";
import type { NamedBytes } from "#/sandbox/component.ts";

/** A file behind a head. */
export interface FileHead {
  readonly name: string;
  readonly bytes: number;
}

/** What a component is judged by. The files: those of the transpiler, and `component.wasm`. */
export interface InspectRequest {
  readonly v: 1;
  readonly imports: readonly string[];
  readonly pagesMax: number;
  readonly files: readonly FileHead[];
}

/** The judgement. The files: what is loaded in the component's place. */
export type InspectVerdict =
  | {
    readonly v: 1;
    readonly type: "accepted";
    readonly imports: readonly string[];
    readonly files: readonly (FileHead & { readonly sha256: string })[];
  }
  | { readonly v: 1; readonly type: "refused"; readonly message: string; readonly files: readonly FileHead[] };

/** One message is all that goes each way: four bytes of length, a JSON head that names files, and their bytes. */
export function packMessage(
  head: InspectRequest | InspectVerdict,
  contents: readonly NamedBytes[],
): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length);
  return concatBytes([length, json, ...contents.map(({ bytes }) => bytes)]);
}

/** Head and files by name; `parse` judges the head. Throws AppError `component_invalid` when the bytes are not what it announces. */
export function unpackMessage<Head extends { readonly files: readonly FileHead[] }>(
  message: Uint8Array<ArrayBuffer>,
  parse: (head: unknown) => Head,
): { head: Head; files: Map<string, Uint8Array<ArrayBuffer>> } {
  try {
    const end = 4 + new DataView(message.buffer, message.byteOffset).getUint32(0);
    const head = parse(JSON.parse(new TextDecoder().decode(message.subarray(4, end))));
    const total = head.files.reduce((sum, file) => sum + file.bytes, end);
    if (total !== message.length) throw new RangeError(`${message.length} bytes instead of ${total}`);
    let at = end;
    return { head, files: new Map(head.files.map((file) => [file.name, message.slice(at, at += file.bytes)])) };
  } catch (cause) {
    throw new AppError("component_invalid", "the inspection of the component gave no readable answer", { cause });
  }
}
