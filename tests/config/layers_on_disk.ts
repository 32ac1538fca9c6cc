import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { AppError } from "#/core/error.ts";
import { loadConfig, type Loaded, type LoadOptions } from "#/config/load.ts";

/** A machine of its own in a temporary folder: `/etc/oxydra` is `system`, the home is `home`, the current folder `work`. */
export interface Machine extends Disposable {
  readonly root: string;
  readonly home: string;
  readonly cwd: string;
  load(options?: Partial<LoadOptions>): Promise<Loaded>;
  /** The error of a load that must fail. */
  refuse(options?: Partial<LoadOptions>): Promise<AppError>;
  write(path: string, content: string | Uint8Array): string;
}

/** Makes a machine with the given files, by path below its root. */
export function makeMachine(files: Readonly<Record<string, string | Uint8Array>> = {}): Machine {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  const [home, cwd] = [join(root, "home"), join(root, "work")];
  for (const path of [home, cwd]) Deno.mkdirSync(path);
  const write = (path: string, content: string | Uint8Array) => {
    const file = join(root, path);
    Deno.mkdirSync(dirname(file), { recursive: true });
    if (typeof content === "string") Deno.writeTextFileSync(file, content);
    else Deno.writeFileSync(file, content);
    return file;
  };
  for (const [path, content] of Object.entries(files)) write(path, content);
  const load = (options: Partial<LoadOptions> = {}) =>
    loadConfig({ cwd, home, env: {}, systemDir: join(root, "system"), ...options });
  const refuse = async (options: Partial<LoadOptions> = {}) => {
    try {
      await load(options);
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
    assert.fail("the configuration was accepted");
  };
  return { root, home, cwd, load, refuse, write, [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }) };
}

/** One of the fixture files in tests/fixture/reference. */
export function readFixture(name: string): string {
  return Deno.readTextFileSync(new URL(`../fixture/reference/${name}`, import.meta.url));
}
