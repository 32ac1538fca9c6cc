import assert from "node:assert/strict";

const NAMESPACES = ["pid", "user", "mnt", "net", "ipc", "uts"] as const;
const FOUND_MS = 10_000;

/**
 * Before anything is run that would hurt the machine if its walls did not stand: asks the host, not the shell, whether the process is in
 * namespaces of its own. `mark` is the one argument of a `sleep` that runs behind the walls. Throws AssertionError.
 */
export async function assertApart(mark: string): Promise<void> {
  const deadline = performance.now() + FOUND_MS;
  let pid = findSleep(mark);
  while (pid === undefined) {
    assert.ok(performance.now() < deadline, "the marked process does not run");
    await new Promise((resolve) => setTimeout(resolve, 5));
    pid = findSleep(mark);
  }
  for (const name of NAMESPACES) {
    const [inside, ours] = [Deno.readLinkSync(`/proc/${pid}/ns/${name}`), Deno.readLinkSync(`/proc/self/ns/${name}`)];
    assert.notEqual(inside, ours, `the ${name} namespace is ours: nothing that could hurt this machine is run`);
  }
}

function isSleep(commandLine: string, mark: string): boolean {
  return commandLine === `sleep\0${mark}\0` || commandLine === `/bin/sleep\0${mark}\0`;
}

function findSleep(mark: string): number | undefined {
  for (const { name } of Deno.readDirSync("/proc")) {
    try {
      // Whole: who starts it has its words as arguments, too, and is on this side of the walls.
      if (/^\d+$/.test(name) && isSleep(Deno.readTextFileSync(`/proc/${name}/cmdline`), mark)) {
        return Number(name);
      }
    } catch {
      // Gone meanwhile.
    }
  }
  return undefined;
}
