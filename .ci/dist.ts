/**
 * `deno task dist`: writes dist/, the tree that any static server can serve and `deno run http://…/mod.ts` can start. A module
 * from a URL gets no import map, so `deno publish` does the rewriting and uploads to a registry that lives only in this process.
 * What it writes is JavaScript in .js files: Debian's mime.types calls .ts a Qt linguist file, and Deno takes no module of that type.
 * mod.ts keeps its name, because a main module of an unknown type is read as JavaScript.
 */
import { fromFileUrl, join, sourceFiles } from "../tests/fixture/source_tree.ts";

const root = fromFileUrl(new URL("..", import.meta.url));
const out = Deno.args[0] ?? `${root}dist`;

const archive = await publishLocally();
await Deno.remove(out, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
await Deno.mkdir(out, { recursive: true });
const tar = new Deno.Command("tar", { args: ["-xz", "-C", out], stdin: "piped", stdout: "inherit", stderr: "inherit" })
  .spawn();
const writer = tar.stdin.getWriter();
await writer.write(archive);
await writer.close();
if (!(await tar.status).success) throw new Error("tar could not unpack what deno publish sent");
await eraseTypes(out);
console.log(`${out} written`);

/** Replaces each .ts file by the JavaScript that Deno makes of it, and each name of one, in imports and in URLs, by the new name. */
async function eraseTypes(folder: string): Promise<void> {
  const script = await Deno.makeTempDir();
  const files = sourceFiles(folder).map((file) => file.path);
  const transpile = await new Deno.Command(Deno.execPath(), {
    args: [
      "transpile",
      "-q",
      "--no-check",
      "--no-config",
      "--no-lock",
      "--source-map",
      "none",
      "--outdir",
      script,
      ...files,
    ],
    cwd: folder,
    stderr: "piped",
  }).output();
  if (!transpile.success) throw new Error(new TextDecoder().decode(transpile.stderr));
  for (const file of files) {
    const text = await Deno.readTextFile(join(script, file.replace(/\.ts$/, ".js")));
    await Deno.remove(join(folder, file));
    const renamed = text.replace(/(["'])([\w./-]+)\.ts\1/g, "$1$2.js$1");
    await Deno.writeTextFile(join(folder, file === "mod.ts" ? file : file.replace(/\.ts$/, ".js")), renamed);
  }
  await Deno.remove(script, { recursive: true });
}

/** The archive that `deno publish` uploads, its specifiers already rewritten. Speaks the four requests of JSR's publish API that it makes. */
async function publishLocally(): Promise<Uint8Array<ArrayBuffer>> {
  let upload: Uint8Array<ArrayBuffer> | undefined;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && /\/versions\/[^/]+$/.test(pathname)) {
      upload = await request.bytes();
      return Response.json({ id: "1", status: "success", error: null });
    }
    if (/\/versions\/[^/]+$/.test(pathname)) {
      return Response.json({ code: "packageVersionNotFound", message: "not found" }, { status: 404 });
    }
    return Response.json(pathname.includes("/publish_status/") ? { id: "1", status: "success", error: null } : {});
  });
  const publish = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "-q", "--no-check", "--allow-dirty", "--allow-slow-types", "--token", "local"],
    cwd: root,
    env: { JSR_URL: `http://127.0.0.1:${server.addr.port}/`, DISABLE_JSR_PROVENANCE: "1" },
    stdout: "inherit",
    stderr: "piped",
  }).output();
  await server.shutdown();
  if (!publish.success || upload === undefined) throw new Error(new TextDecoder().decode(publish.stderr));
  return upload;
}
