/**
 * Interfaces that a tool child has functions for, by their short names in tools-wasm/wit/tool.wit. A component that imports another one
 * is refused before it is loaded; `toImports` serves just these.
 */
export const INTERFACES = ["fs-read", "fs-write", "http", "config", "clock", "random", "log"] as const;
/** Short name of one of them. */
export type InterfaceName = (typeof INTERFACES)[number];

/** The name of an interface as a component imports it. */
export function toImportName<Name extends InterfaceName>(name: Name): `oxydra:tool/${Name}` {
  return `oxydra:tool/${name}`;
}
