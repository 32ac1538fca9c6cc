import { AppError } from "#/core/error.ts";
import { LIMITS } from "#/core/limits.ts";
import { toPrintable } from "#/lib/printable.ts";
import {
  addPackage,
  type PackageOwner,
  readManifest,
  reinstallPackage,
  removePackage,
} from "#/runner/package_admin.ts";
import { openPackages } from "#/runner/packages.ts";
import { prepareWorkspace } from "#/runner/prepare.ts";
import type { PackageManifest } from "#/sandbox/component_manifest.ts";
import { EXIT } from "#/cli/exit_code.ts";
import type { AddOptions, CommonOptions } from "#/cli/main.ts";
import { findPlace, openProgram } from "#/cli/place.ts";

const FROM_NEXT_START = "it counts from the next start; a running oxydra goes on with the packages that it read";

/** Shows what a package asks for and installs it once a person agreed. Throws AppError `component_invalid`, `usage`, `config_invalid`. */
export async function runToolsAdd(file: string, options: AddOptions): Promise<number> {
  const owner = await toOwner(options);
  const text = new TextDecoder().decode(await readBounded(options.manifest, LIMITS.manifestBytesMax));
  const manifest = await readManifest(text, owner);
  const component = await readBounded(file, LIMITS.componentBytesMax);
  say(toCard(manifest));
  const { packages } = await openPackages(owner.folders, owner.env.HOME);
  const replaced = packages.find((one) => one.manifest.name === manifest.name)?.manifest;
  if (replaced !== undefined) {
    say(`  replaces ${replaced.name} ${replaced.version}  (sha256 ${replaced.component.sha256})`);
  }
  if (!options.yes && !agrees()) {
    say("nothing was installed");
    return EXIT.usage;
  }
  const { tools } = await addPackage({ manifest: text, component }, owner);
  const names = tools.map(({ name }) => name).join(", ");
  say(`installed ${manifest.name} ${manifest.version}: ${names}\n${FROM_NEXT_START}`);
  return EXIT.done;
}

/** Lists the installed packages, damaged ones with the reason. */
export async function runToolsList(options: CommonOptions): Promise<number> {
  const { folders, env } = await toOwner(options);
  const { packages, refused } = await openPackages(folders, env.HOME);
  if (packages.length + refused.length === 0) say("no package is installed");
  for (const { manifest } of packages) say(toCard(manifest));
  for (const { path, reason } of refused) say(`not used: ${path}\n  ${reason}`);
  return EXIT.done;
}

/** Removes a package. Throws AppError `usage` when there is none of that name. */
export async function runToolsRemove(name: string, options: CommonOptions): Promise<number> {
  await removePackage(name, await toOwner(options));
  say(`removed ${name}\n${FROM_NEXT_START}`);
  return EXIT.done;
}

/** Installs a package again from what was kept of it. Throws AppError `usage` when there is none, `component_invalid`. */
export async function runToolsReinstall(name: string, options: CommonOptions): Promise<number> {
  const { manifest } = await reinstallPackage(name, await toOwner(options));
  say(`installed ${manifest.name} ${manifest.version} again\n${FROM_NEXT_START}`);
  return EXIT.done;
}

/** What a package asks for, in words. Its own words are quoted, and harmless to a terminal. */
export function toCard({ name, version, component, tools }: PackageManifest): string {
  const lines = [`${name} ${version}  (sha256 ${component.sha256})`];
  for (const tool of tools) {
    lines.push(`  ${tool.name}  ${EFFECTS[tool.effect]}, at most ${tool.timeoutMs} ms`);
    lines.push(`    says: ${JSON.stringify(tool.description)}`);
    if (tool.needs.length === 0) lines.push("    reaches nothing");
    for (const need of tool.needs) lines.push(`    ${toWords(need)}`);
  }
  return lines.join("\n");
}

const EFFECTS = {
  read_only: "changes nothing",
  side_effecting: "changes things",
  privileged: "changes things that matter",
} as const;

function toWords(need: PackageManifest["tools"][number]["needs"][number]): string {
  const where = "path" in need ? toPlace(need.path) : "url" in need ? toPlace(need.url) : "";
  const isTree = "scope" in need && need.scope === "tree";
  switch (need.kind) {
    case "fs.read":
      return `reads ${isTree ? "everything below the folder" : "the file"} ${where}, ≤ ${need.bytesMax} bytes`;
    case "fs.list":
      return `lists the folder ${where}${isTree ? " and all below it" : ""}, ≤ ${need.entriesMax} entries`;
    case "fs.write":
      if (need.mode === "delete") return `deletes the file ${where}`;
      return `writes the file ${where}, ≤ ${need.bytesMax} bytes`;
    case "http": {
      const bounds = `≤ ${need.bytesUpMax} bytes up, ≤ ${need.bytesDownMax} down, ≤ ${need.redirectsMax} redirects`;
      const what = isTree ? "everything below the address" : "the address";
      return `sends ${need.methods.join("/")} to ${what} ${where}, ${bounds}`;
    }
    case "clock":
      return "reads the time";
    case "random":
      return "gets random numbers";
    case "log":
      return "writes to the log";
  }
}

function toPlace(text: string): string {
  return text.startsWith("$") ? `that its argument ${text.slice(1)} names` : text;
}

async function toOwner(options: CommonOptions): Promise<PackageOwner> {
  const program = await openProgram();
  const place = await findPlace(options);
  return { program, env: place.env, folders: prepareWorkspace(place.user, place.loaded, place) };
}

async function readBounded(path: string, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  let reason: string;
  try {
    const { isFile, size } = await Deno.stat(path);
    if (isFile && size <= bytesMax) return await Deno.readFile(path);
    reason = isFile ? `is over ${bytesMax} bytes` : "is no file";
  } catch (error) {
    reason = `cannot be read: ${(error as Error).message}`;
  }
  throw new AppError("usage", `${path} ${reason}`);
}

/** Throws AppError `usage` where nobody can be asked. */
function agrees(): boolean {
  if (!Deno.stdin.isTerminal()) {
    throw new AppError("usage", "nobody can be asked here; --yes agrees to what is shown above");
  }
  return prompt("install it? [y/N]")?.trim().toLowerCase() === "y";
}

function say(text: string): void {
  console.log(toPrintable(text));
}
