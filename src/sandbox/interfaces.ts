import type { Capability } from "#/core/capability.ts";

/** The WIT interface that each capability opens, by its short name; a secret goes with a request. The one place: broker and packages follow it. */
export const INTERFACE_OF: Readonly<Record<Capability["kind"], string>> = {
  "fs.read": "fs-read",
  "fs.list": "fs-read",
  "fs.write": "fs-write",
  http: "http",
  secret: "http",
  config: "config",
  clock: "clock",
  random: "random",
  log: "log",
};

/** Interfaces that a tool child has functions for (child_imports.ts), as a component names them. One that wants another is refused before it is loaded. */
export const KNOWN_INTERFACES: readonly string[] = ["fs-read", "fs-write"].map(toInterface);

/** `fs-read` as a component names it, without a version. */
export function toInterface(shortName: string): string {
  return `oxydra:tool/${shortName}`;
}
