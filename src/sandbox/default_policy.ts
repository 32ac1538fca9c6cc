import { LIMITS } from "#/core/limits.ts";
import type { PolicyRule } from "#/sandbox/policy.ts";

/** The policy that ships (DESIGN, "Against whom"). Everything that no line allows is denied. */
export const DEFAULT_POLICY: readonly PolicyRule[] = [
  { id: "default:read /shared", kinds: ["fs.read"], under: "/shared", effect: "allow", most: LIMITS.searchBytesMax },
  { id: "default:read /tmp", kinds: ["fs.read"], under: "/tmp", effect: "allow", most: LIMITS.searchBytesMax },
  { id: "default:list /shared", kinds: ["fs.list"], under: "/shared", effect: "allow", most: LIMITS.listEntriesMax },
  { id: "default:list /tmp", kinds: ["fs.list"], under: "/tmp", effect: "allow", most: LIMITS.listEntriesMax },
  { id: "default:write /shared", kinds: ["fs.write"], under: "/shared", effect: "allow", most: LIMITS.fileBytesMax },
  { id: "default:write /tmp", kinds: ["fs.write"], under: "/tmp", effect: "allow", most: LIMITS.fileBytesMax },
  {
    id: "default:vault",
    kinds: ["fs.read", "fs.list"],
    under: "/vault",
    effect: "ask",
    reason: "the vault needs an approval, which arrives later",
  },
];
