/** The pinned tool chain of this folder: installed when it is missing, and run in a process of its own. */

const ROOT = new URL("..", import.meta.url).pathname;

/** `npm ci` unless every pinned version is there. No install script runs. Two at once wait for each other. */
export async function installToolchain(): Promise<void> {
  using lock = await Deno.open(`${ROOT}package.json`);
  await lock.lock(true);
  const { dependencies } = JSON.parse(
    await Deno.readTextFile(`${ROOT}package.json`),
  );
  const missing: string[] = [];
  for (const [name, version] of Object.entries(dependencies)) {
    const path = `${ROOT}node_modules/${name}/package.json`;
    const installed = await Deno.readTextFile(path).then(
      (text) => JSON.parse(text).version,
      () => "none",
    );
    if (installed !== version) missing.push(`${name}@${version}`);
  }
  if (missing.length === 0) return;
  console.error(`installing the tool chain (${missing.join(", ")})`);
  await runCommand(
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
    "npm is needed to install the tool chain",
    { cwd: ROOT },
  );
}

/** Runs a script of build/ where the packages of this folder are found. Throws Error with its stderr. */
export function runScript(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const flags = [
    "run",
    "-A",
    "-q",
    "--no-config",
    "--no-lock",
    "--node-modules-dir=manual",
  ];
  return runCommand(
    Deno.execPath(),
    [...flags, `${ROOT}build/${name}`, ...args],
    "Deno is needed",
    { env },
  );
}

/** Runs a command to its end. Throws Error with its stderr, or with `prerequisite` when there is no such command. */
export async function runCommand(
  command: string,
  args: string[],
  prerequisite: string,
  options: Deno.CommandOptions,
): Promise<void> {
  const child = new Deno.Command(command, {
    ...options,
    args,
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await child.output().catch((cause) => {
    throw cause instanceof Deno.errors.NotFound ? new Error(prerequisite) : cause;
  });
  if (!success) {
    throw new Error(
      `${command} failed: ${new TextDecoder().decode(stderr).slice(-4_000)}`,
    );
  }
}
