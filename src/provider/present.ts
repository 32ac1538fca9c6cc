/**
 * The members that are there: null and undefined are left out, for types that know neither and for APIs that refuse a field of which they
 * are not sure. Keeps the order. Pure.
 */
export function present<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const there = Object.entries(members).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(there) as { [K in keyof T]?: NonNullable<T[K]> };
}
