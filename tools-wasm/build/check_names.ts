/** What may stand between single quotes in generated JavaScript without ending the string or the line. */
// deno-lint-ignore no-control-regex -- control characters are just what is refused
const SAFE = /^[^'"`\\\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/u;

/**
 * Refuses a core module whose import or export names could leave their quotes: jco writes them into the glue unescaped, so a crafted
 * name runs as code in the host's realm (facts/wasm.md §2, tested with jco-transpile 0.15.0). Throws Error naming the place.
 */
export function checkNames(module: WebAssembly.Module): void {
  for (const { name } of WebAssembly.Module.exports(module)) {
    if (!SAFE.test(name)) {
      throw new Error(`an export name is unsafe: ${JSON.stringify(name)}`);
    }
  }
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (!SAFE.test(from) || !SAFE.test(name)) {
      throw new Error(
        `an import name is unsafe: ${JSON.stringify(`${from} ${name}`)}`,
      );
    }
  }
}
