/** A shell behind real walls whose only way out is a tunnel, with the forwarder as it runs there. */
import { FORWARD_SCRIPT, planForwarder, PROXY_ENV } from "#/sandbox/tunnel_forward.ts";

const BWRAP = "/usr/bin/bwrap";

/** Whether this machine has walls of that kind. */
export const hasBwrap: boolean = await Deno.stat(BWRAP).then(() => true, () => false);

/** Runs a script behind walls after the forwarder said that it listens, and gives back what both printed. */
export async function runWalled(netDir: string, script: string, env: Record<string, string> = {}): Promise<string> {
  const dir = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${dir}/forward.js`, FORWARD_SCRIPT);
    const maps = Deno.readTextFileSync("/proc/self/maps");
    const plan = planForwarder({ denoPath: Deno.execPath(), scriptPath: `${dir}/forward.js`, maps });
    const set = Object.entries({ ...plan.env, ...PROXY_ENV, PATH: "/usr/bin:/bin", HOME: "/tmp", ...env });
    const start = `exec 3< <(exec ${plan.argv.join(" ")} 2>&1); read -r -t 20 -u 3 line; echo "$line"`;
    const { stdout, stderr } = await new Deno.Command(BWRAP, {
      args: [
        ...["--unshare-all", "--die-with-parent", "--clearenv", "--ro-bind", "/usr", "/usr"],
        ...["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin"],
        ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", netDir, "/run/oxydra-net"],
        ...Object.entries(plan.files).flatMap(([inner, host]) => ["--ro-bind", host, inner]),
        ...set.flatMap(([name, value]) => ["--setenv", name, value]),
        ...["bash", "-c", `${start}\n${script}`],
      ],
      stdout: "piped",
      stderr: "piped",
    }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
