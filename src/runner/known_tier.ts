import { attempt } from "#/core/error.ts";
import { z } from "zod";
import { join } from "#/lib/path.ts";
import type { Environment } from "#/runner/process_plan.ts";
import type { TierStatus } from "#/sandbox/tier.ts";

/** A tier that was tried and held, and all that it depends on. */
const Known = z.strictObject({
  v: z.literal(1),
  key: z.string(),
  status: z.strictObject({ available: z.literal(true), about: z.string(), notes: z.array(z.string()) }),
});

/** What the kernel lets a program do that makes namespaces; any of them may be missing. */
const SETTINGS = [
  "kernel/osrelease",
  "kernel/apparmor_restrict_unprivileged_userns",
  "kernel/unprivileged_userns_clone",
  "user/max_user_namespaces",
];
const FILE = "shell-tier.json";

/** What bubblewrap's walls depend on, as one text; undefined where there is no bubblewrap. Trying them takes 50 ms of a start, this one. */
export function toTierKey(env: Environment): string | undefined {
  const found = (env.PATH ?? "/usr/bin:/bin").split(":").map((dir) => join(dir, "bwrap")).flatMap((path) => {
    const info = attempt(() => Deno.statSync(path));
    return info === undefined ? [] : [[path, info.mtime?.getTime(), info.size, info.mode]];
  });
  if (found[0] === undefined) return undefined;
  const settings = SETTINGS.map((name) => attempt(() => Deno.readTextFileSync(`/proc/sys/${name}`).trim()) ?? "");
  return JSON.stringify([found[0], Deno.uid(), settings]);
}

/** What an earlier start of this user found, when nothing that it depends on has changed. What did not hold is always tried again. */
export function recallTier(runDir: string, key: string): TierStatus | undefined {
  const known = attempt(() => Known.parse(JSON.parse(Deno.readTextFileSync(join(runDir, FILE)))));
  return known?.key === key ? known.status : undefined;
}

/** Keeps what was found, for the next start. What cannot be kept is tried again. */
export function keepTier(runDir: string, key: string, { available, about, notes }: TierStatus): void {
  if (!available) return;
  const path = join(runDir, FILE);
  const known: z.infer<typeof Known> = { v: 1, key, status: { available, about, notes: [...notes] } };
  // A folder may not be there yet, or a disk full.
  attempt(() => {
    Deno.writeTextFileSync(`${path}.new`, JSON.stringify(known), { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  });
}

/** Walls that did not stand after all are tried again by the next start. */
export function forgetTier(runDir: string): void {
  attempt(() => Deno.removeSync(join(runDir, FILE)));
}
