/** How fast a vendor's stream becomes our events, on one core, and how fast the vendor's own package reads the same bytes. */
import { DIALECTS } from "../tests/contract/dialects.ts";
import type { Bench, Row } from "./row.ts";

/** What one child measured, in MB (10⁶ bytes) a second. */
export interface Decoded {
  readonly ours: number;
  readonly theirs: number;
  /** Bytes of one delta on the wire. */
  readonly deltaBytes: number;
  /** Name and version of the vendor's package. */
  readonly package: string;
}

const FLOOR_MB = 20;
const FLOOR_RATIO = 0.8;

/** A process a provider, so that no reader warms another's code. */
export const decode: Bench = {
  name: "decode",
  async run() {
    const rows: Row[] = [];
    for (const { type } of DIALECTS) {
      const { ours, theirs, deltaBytes, package: name } = await measure(type);
      const note = `20 MB of text deltas of ${deltaBytes} bytes from memory, in pieces of 16 KiB; median of 5`;
      rows.push(
        { name: `${type}: SSE to ModelEvent`, value: ours, unit: "MB/s", floor: FLOOR_MB, note },
        {
          name: `${type}: over ${name} alone`,
          value: ours / theirs,
          unit: "×",
          floor: FLOOR_RATIO,
          note: `which reads ${theirs.toFixed(1)} MB/s of the same bytes`,
        },
      );
    }
    return rows;
  },
};

async function measure(type: string): Promise<Decoded> {
  // Our lock holds only what we ship; the versions of what is measured against are exact.
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", "--no-lock", new URL("decode_child.ts", import.meta.url).pathname, type],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`the child that reads ${type} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
