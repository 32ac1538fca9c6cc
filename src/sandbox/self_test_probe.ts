/**
 * What a process can do, tried from inside it: started with another process's flags in the place of its entry, asked by one argument,
 * `{ net, write }`, and answering with one line of JSON, what each try came to. Imports nothing. Where a wall is missing a try does no
 * harm: it reads and drops, writes one empty file that it is told to, starts `true`, and loads a library that does not exist.
 */
const asked: { readonly net: readonly string[]; readonly write: string } = JSON.parse(Deno.args[0]!);

/** `HOST:PORT` as it is spelled: what spelling leads past the flags is what this is about. */
async function connect(target: string): Promise<void> {
  const at = target.lastIndexOf(":");
  const hostname = target.slice(0, at).replace(/^\[|\]$/g, "");
  (await Deno.connect({ hostname, port: Number(target.slice(at + 1)) })).close();
}

/** A name that every process of ours has. With `--ignore-env` it is not there, which is as good as a refusal. */
function readEnvironment(): void {
  // deno-lint-ignore house/environment-in-config -- that nothing comes of it is what is tried
  if (Deno.env.get("DENO_NO_UPDATE_CHECK") === undefined) throw new Deno.errors.NotCapable("it is not there");
}

const TRIES: Readonly<Record<string, () => unknown>> = {
  "read a file": () => Deno.readTextFileSync("/etc/passwd"),
  "read its memory": () => Deno.openSync("/proc/self/mem").close(),
  "write a file": () => Deno.writeTextFileSync(asked.write, ""),
  "read the environment": readEnvironment,
  "start a program": () => new Deno.Command("/bin/true").outputSync(),
  "load a library": () => Deno.dlopen("/nowhere/oxydra.so", {}).close(),
  "ask the system": () => Deno.hostname(),
  "listen to everyone": () => Deno.listen({ hostname: "0.0.0.0", port: 0 }).close(),
  // No literal, so that nothing looks for it before it is tried.
  "import from a host": () => import(["http:", "", "127.0.0.1:1", "oxydra.ts"].join("/")),
  ...Object.fromEntries(asked.net.map((target) => [`connect to ${target}`, () => connect(target)])),
};

const found: Record<string, string> = {};
for (const [name, run] of Object.entries(TRIES)) {
  try {
    await run();
    found[name] = "done";
  } catch (error) {
    found[name] = error instanceof Error ? `${error.name}: ${error.message.slice(0, 300)}` : "thrown";
  }
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(found) + "\n"));
Deno.exit(0);
