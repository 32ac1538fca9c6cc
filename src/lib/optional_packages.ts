/**
 * npm packages that only some configurations need, exact. They stand in no import map and no `deno.lock`, and nothing imports them by a
 * literal or a type: either would download them for everybody. The runner installs what the configuration selects, pinned by
 * `src/runner/lock_optional.json` (`deno task lock` writes it).
 */
export const OPTIONAL_PACKAGES = {
  anthropic: "npm:@anthropic-ai/sdk@1.12.0",
} as const;

/** A row of the table. */
export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES;

/** True for a provider type, or anything else, that has a row. */
export function isOptionalPackage(name: string): name is OptionalPackage {
  return Object.hasOwn(OPTIONAL_PACKAGES, name);
}
