/**
 * Never called, as `nameEntries`: it puts the terminal client and its packages into the module graph of a program from a URL, and only of one
 * that is about to start it, so that nobody else waits for Ink.
 */
export function nameTuiEntry(): () => Promise<unknown> {
  return () => import("#/cli/tui.ts");
}
