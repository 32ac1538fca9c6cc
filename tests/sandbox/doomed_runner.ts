/** A runner that is killed while a tool loops: prints the child's process id once the tool computes. Arguments: `setpriv` or `plain`, the deadline in ms. */
import { openChildren } from "#/sandbox/children.ts";
import { ENDLESS_PAGE, endlessCall, never, openFilesComponent, planRealChild, SETPRIV } from "./child_kit.ts";

const real = planRealChild();
const plain = SETPRIV === undefined ? real : { ...real, command: real.args[3]!, args: real.args.slice(4) };
const plan = Deno.args[0] === "setpriv" ? real : plain;
const children = openChildren({ component: await openFilesComponent(), plan });

/** Processor time of the child in clock ticks (proc(5), field 14). */
function ticks(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/stat`).split(" ")[13]);
}

await children.run(endlessCall(Number(Deno.args[1])), (call, signal) => {
  const [pid] = children.pids;
  const before = ticks(pid!);
  const timer = setInterval(() => {
    if (ticks(pid!) < before + 10) return;
    clearInterval(timer);
    console.log(pid);
  }, 5);
  return ENDLESS_PAGE(call, signal);
}, never());
