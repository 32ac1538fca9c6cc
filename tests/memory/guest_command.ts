const ROOT = new URL("../../", import.meta.url);

/** `deno run` of a test program with the permissions of a guest on its log and nothing else: `flags` defaults to reading and writing `folder`. */
export function guestCommand(
  program: string,
  folder: string,
  args: readonly string[],
  flags: readonly string[] = [`--allow-read=${folder}`, `--allow-write=${folder}`],
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--cached-only",
      "--no-remote",
      `--config=${new URL("deno.json", ROOT).pathname}`,
      ...flags,
      new URL(program, import.meta.url).pathname,
      ...args,
    ],
    clearEnv: true,
    env: Object.fromEntries(
      ["HOME", "DENO_DIR"].flatMap((name) => Deno.env.has(name) ? [[name, Deno.env.get(name)!]] : []),
    ),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
}
