import type { Capability } from "#/core/capability.ts";
import { type InterfaceName, INTERFACES, toImportName } from "#/sandbox/component_interfaces.ts";

/**
 * The WIT interface that each capability opens; a secret goes with a request. Null: no component can have it, only a tool that the runner
 * runs itself. The one place: broker and packages follow it.
 */
export const INTERFACE_OF = {
  "fs.read": "fs-read",
  "fs.list": "fs-read",
  "fs.write": "fs-write",
  http: "http",
  secret: "http",
  config: "config",
  shell: null,
  connect: null,
  browser: null,
  clock: "clock",
  random: "random",
  log: "log",
} as const satisfies Readonly<Record<Capability["kind"], InterfaceName | null>>;

/** Interfaces that a tool child has functions for, as a component imports them, without a version. */
export const KNOWN_INTERFACES: readonly string[] = INTERFACES.map(toImportName);
