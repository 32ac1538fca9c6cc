import { LIMITS } from "#/core/limits.ts";
import type { PolicyRule } from "#/sandbox/policy_rule.ts";

const { searchBytesMax, listEntriesMax, attachmentBytesMax, responseBytesMax } = LIMITS;

/** The policy that ships (DESIGN, "Against whom"). Everything that no line is for is denied. */
export const DEFAULT_POLICY: readonly PolicyRule[] = [
  { id: "default:read /shared", kinds: ["fs.read"], under: "/shared", effect: "allow", most: searchBytesMax },
  { id: "default:read /tmp", kinds: ["fs.read"], under: "/tmp", effect: "allow", most: searchBytesMax },
  { id: "default:list /shared", kinds: ["fs.list"], under: "/shared", effect: "allow", most: listEntriesMax },
  { id: "default:list /tmp", kinds: ["fs.list"], under: "/tmp", effect: "allow", most: listEntriesMax },
  { id: "default:write /shared", kinds: ["fs.write"], under: "/shared", effect: "allow", most: attachmentBytesMax },
  { id: "default:write /tmp", kinds: ["fs.write"], under: "/tmp", effect: "allow", most: attachmentBytesMax },
  {
    id: "default:vault",
    kinds: ["fs.read", "fs.list"],
    under: "/vault",
    effect: "ask",
    reason: "the vault is private",
  },
  { id: "default:tools", kinds: ["config", "clock", "random", "log"], effect: "allow" },
  {
    id: "default:web",
    kinds: ["http"],
    hosts: ["*"],
    methods: ["GET", "HEAD"],
    ports: ["80", "443"],
    effect: "allow",
    most: responseBytesMax,
  },
  {
    id: "default:web methods",
    kinds: ["http"],
    hosts: ["*"],
    methods: ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    effect: "ask",
    reason: "this request may change something",
  },
  {
    id: "default:web ports",
    kinds: ["http"],
    hosts: ["*"],
    ports: ["1-79", "81-442", "444-65535"],
    effect: "ask",
    reason: "this is not a port of the web",
  },
  {
    id: "default:web after private",
    kinds: ["http"],
    hosts: ["*"],
    when: "private",
    effect: "ask",
    reason: "this session has read from the vault or spent a secret, and the address could carry it out",
  },
  { id: "default:shell", kinds: ["shell"], effect: "ask", reason: "a command changes what it can reach" },
  // These only look at what is there already: none of them starts a browser, or goes anywhere.
  {
    id: "default:browser view",
    kinds: ["browser"],
    names: ["snapshot", "text", "screenshot", "tabs", "health"],
    effect: "allow",
  },
  {
    id: "default:browser",
    kinds: ["browser"],
    names: ["navigate", "act"],
    effect: "ask",
    reason: "a page runs scripts, and what is typed or clicked in it may change something",
  },
  {
    id: "default:connect",
    kinds: ["connect"],
    hosts: ["*"],
    effect: "ask",
    reason: "what runs behind these walls could carry out what it sees",
  },
  { id: "default:secret", kinds: ["secret"], hosts: ["*"], effect: "ask", reason: "this spends a secret" },
];
