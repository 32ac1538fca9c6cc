const LISTEN = "0A";

/**
 * True when the process itself listens on 127.0.0.1:port. Linux, x64 and arm64: `/proc/<pid>/net/tcp` has addresses in the machine's byte
 * order (proc(5)) and names each socket's inode, `/proc/<pid>/fd` the sockets that the process holds. False for what cannot be read.
 */
export function isListening(pid: number, port: number): boolean {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  try {
    const rows = Deno.readTextFileSync(`/proc/${pid}/net/tcp`).split("\n").map((row) => row.trim().split(/\s+/));
    const inodes = rows.filter((row) => row[1] === local && row[3] === LISTEN).map((row) => row[9]);
    return inodes.length > 0 && socketsOf(pid).some((inode) => inodes.includes(inode));
  } catch {
    return false;
  }
}

function socketsOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].flatMap(({ name }) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(Deno.readLinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
    } catch {
      // Closed since its name was read.
      return [];
    }
  });
}
