import type { Capability } from "#/core/capability.ts";

/** The WIT interface that a capability opens, by its short name. The one place: broker, packages and children follow it. */
export const INTERFACE_OF: Readonly<Record<Capability["kind"], string>> = {
  "fs.read": "fs-read",
  "fs.list": "fs-read",
  "fs.write": "fs-write",
};

/** Interfaces that a tool child has functions for, as a component names them (without a version). Another one is refused before it is loaded. */
export const KNOWN_INTERFACES: readonly string[] = [...new Set(Object.values(INTERFACE_OF))].map(toInterface);

/** `fs-read` as a component names it. */
export function toInterface(shortName: string): string {
  return `oxydra:tool/${shortName}`;
}
