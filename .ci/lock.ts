/** `deno task lock`: writes src/runner/lock.json, a copy of deno.lock, and lock_optional.json, the same with the optional packages. */
import { OPTIONAL_PACKAGES } from "../src/lib/optional_packages.ts";

const runner = new URL("../src/runner/", import.meta.url);
const [own, optional] = ["lock.json", "lock_optional.json"].map((name) => new URL(name, runner));
await Deno.copyFile(new URL("../deno.lock", import.meta.url), own!);
await Deno.copyFile(own!, optional!);
const { success } = await new Deno.Command(Deno.execPath(), {
  args: ["cache", "-q", "--frozen=false", `--lock=${optional!.pathname}`, ...Object.values(OPTIONAL_PACKAGES)],
  cwd: new URL("..", import.meta.url),
}).spawn().status;
if (!success) Deno.exit(1);
