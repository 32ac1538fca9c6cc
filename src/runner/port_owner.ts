import { attempt } from "#/core/error.ts";

const LISTEN = "0A";
/** Length of one row, its newline included. */
const ROW_BYTES = 150;

/**
 * True when the process itself listens on 127.0.0.1:port. Linux, x64 and arm64: `/proc/<pid>/net/tcp` has addresses in the machine's byte
 * order (proc(5)) and names each socket's inode, `/proc/<pid>/fd` the sockets that the process holds. False for what cannot be read.
 */
export function isListening(pid: number, port: number): boolean {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inode = attempt(() => findListener(`/proc/${pid}/net/tcp`, local));
  return inode !== undefined && (attempt(() => socketsOf(pid).includes(inode)) ?? false);
}

/**
 * Inode of the socket that listens at an address, as the table writes it. Listeners are its first rows, and the kernel makes only the
 * rows that a read has room for: the whole table takes it 4 ms, however few connections there are.
 */
function findListener(table: string, local: string): string | undefined {
  using file = Deno.openSync(table);
  const decoder = new TextDecoder();
  const row = new Uint8Array(ROW_BYTES);
  let text = "";
  for (let read = file.readSync(row); read !== null; read = file.readSync(row)) {
    const lines = (text + decoder.decode(row.subarray(0, read))).split("\n");
    text = lines.pop()!;
    for (const line of lines) {
      const cells = line.trim().split(/\s+/);
      if (cells[1] === local && cells[3] === LISTEN) return cells[9];
    }
  }
  return undefined;
}

function socketsOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    // It may be closed since its name was read.
    const link = attempt(() => Deno.readLinkSync(`/proc/${pid}/fd/${name}`)) ?? "";
    return /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [];
  });
}
