/** Runs the tests with a folder for temporary files that is gone afterwards, whatever a killed process left in it. */
// Short, so that a workspace in it has its sockets where most workspaces have them.
const dir = `${Deno.env.get("TMPDIR") ?? "/tmp"}/t${Deno.pid}`;
// Some tests run as another user, who has to get to what is theirs.
await Deno.mkdir(dir, { mode: 0o711 });
// The tests have the same terminal and end by themselves; this process stays to clean up.
for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => {});
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--no-prompt", "--parallel", ...Deno.args],
  env: { TMPDIR: dir },
}).spawn().status;
await Deno.remove(dir, { recursive: true }).catch((error) => console.error(`tests: ${dir} is left behind: ${error}`));
Deno.exit(code);
