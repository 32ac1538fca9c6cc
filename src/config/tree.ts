/** A table as a TOML text or an environment variable gives it, before any schema has seen it. Without a prototype. */
export interface Tree {
  [key: string]: unknown;
}

/** True for a table: neither a list nor a date nor a plain value. */
export function isTable(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** An empty table. A key named `__proto__` or `constructor` is a key like any other in it. */
export function newTree(): Tree {
  return Object.create(null) as Tree;
}

/** The value at a path, or undefined; own keys only. */
export function valueAt(tree: unknown, path: readonly (string | number)[]): unknown {
  let value = tree;
  for (const step of path) {
    if (Array.isArray(value)) value = value[Number(step)];
    else if (isTable(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** Copies tables and lists; everything else is shared. */
export function cloneTree(tree: Tree): Tree {
  return mergeTree(newTree(), tree);
}

/**
 * Lays `over` on `base` in place and returns it: tables are merged key by key, everything else is replaced whole, lists too.
 * `visit` is told each path that got a new value.
 */
export function mergeTree(
  base: Tree,
  over: Tree,
  visit: (path: readonly string[]) => void = () => {},
  path: readonly string[] = [],
): Tree {
  for (const [key, value] of Object.entries(over)) {
    const here = [...path, key];
    if (isTable(value)) {
      const below = Object.hasOwn(base, key) ? base[key] : undefined;
      base[key] = mergeTree(isTable(below) ? below : newTree(), value, visit, here);
    } else {
      base[key] = Array.isArray(value) ? structuredClone(value) : value;
      visit(here);
    }
  }
  return base;
}

/** Puts a tree below a path: `nest(t, ["runner"])` is `{ runner: t }`. */
export function nest(tree: unknown, path: readonly string[]): Tree {
  let value = tree;
  for (const key of path.toReversed()) value = Object.assign(newTree(), { [key]: value });
  return value as Tree;
}

/** Every path below `tree` that holds no table, with its value. */
export function* leaves(
  tree: Tree,
  path: readonly string[] = [],
): Generator<[path: readonly string[], value: unknown]> {
  for (const [key, value] of Object.entries(tree)) {
    if (isTable(value)) yield* leaves(value, [...path, key]);
    else yield [[...path, key], value];
  }
}

/** True when two trees, lists or values are the same. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((value, i) => isSame(value, b[i]));
  if (isTable(a) && isTable(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]));
  }
  return Object.is(a, b);
}
