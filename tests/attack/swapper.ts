/**
 * A hostile neighbour: exchanges two names of a folder, atomically and as fast as it can (renameat2 with RENAME_EXCHANGE, by the C
 * library), until it is killed. Run: `deno run -A swapper.ts <path> <path>`. Prints one line when it has begun.
 */
const [one, other] = Deno.args.map((path) => new TextEncoder().encode(`${path}\0`));
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const library = Deno.dlopen("libc.so.6", {
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
});
const swap = () => library.symbols.renameat2(AT_FDCWD, one!, AT_FDCWD, other!, RENAME_EXCHANGE);
if (swap() !== 0) throw new Error("renameat2 does not work here");
console.log("swapping");
for (;;) swap();
