import { LIMITS } from "#/core/limits.ts";
import { CHROMIUM_NAMES } from "#/sandbox/browser_names.ts";
import { passEnv, underParent } from "#/sandbox/child_plan.ts";
import type { EgressPlan, EgressPlanInput } from "#/sandbox/egress_plan.ts";
import type { TierLimits } from "#/sandbox/tier.ts";
import { type Forwarder, TUNNEL_PROXY } from "#/sandbox/tunnel_forward.ts";

const HEAP_MB_MAX = 512;

/**
 * The flags of a browser's driver: no permission at all; for a browser that the person runs, a connection to its `host:port` and nothing else.
 * `input.entryUrl` is that of src/sandbox/browser.ts. Pure.
 */
export function planDriver(input: EgressPlanInput, cdpUrl?: string): EgressPlan {
  const way = cdpUrl === undefined ? ["pipe", TUNNEL_PROXY] : ["socket", cdpUrl];
  const url = cdpUrl === undefined ? undefined : new URL(cdpUrl);
  const host = url === undefined ? undefined : `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
  const args = [
    ...["run", "-q", "--no-prompt", ...input.moduleFlags, `--v8-flags=--max-old-space-size=${HEAP_MB_MAX}`],
    ...(host === undefined ? [] : [`--allow-net=${host}`]),
    input.entryUrl,
    ...way,
  ];
  const env = { ...passEnv(input.env, ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "NPM_CONFIG_REGISTRY"]), NO_COLOR: "1" };
  const reach = [
    host === undefined ? "connects to nothing" : `connects to ${host}`,
    "reads no file and no environment, starts no process, loads no library",
  ];
  return { ...underParent(input, args), env, reach };
}

/** The port that discards (RFC 863): in a network of their own nobody listens there. */
const NOWHERE = "http://127.0.0.1:9";

/** Status of `CHROMIUM_SCRIPT` when none is there. */
export const CHROMIUM_MISSING = 127;

/**
 * Makes the browser's pipe (descriptors 3 and 4) of stdin and stdout, so that no port is open anywhere, and starts the first Chromium that is
 * found. `LIBDIR` of Debian's wrapper is passed by: it reads /etc and the CPU at each start.
 */
const CHROMIUM_SCRIPT = `for name in ${CHROMIUM_NAMES.join(" ")}; do
  path=$(command -v "$name") || continue
  test -x "/usr/lib/$name/$name" && path=/usr/lib/$name/$name
  exec "$path" "$@" 3<&0 4>&1 0</dev/null 1>&2
done
exit ${CHROMIUM_MISSING}`;

/** What no page asked for (updates, the time, accounts) goes to a proxy that is not there; the driver's tabs are given the way out. */
const NO_WAY = `--proxy-server=${NOWHERE} --proxy-bypass-list=<-loopback>`;
/** What no page asked for either, and what needs a device, a person or a disk. */
const NOTHING_UNASKED = `
  --disable-quic --force-webrtc-ip-handling-policy=disable_non_proxied_udp
  --disable-background-networking --disable-component-update --disable-sync --disable-domain-reliability
  --disable-default-apps --disable-extensions --disable-client-side-phishing-detection --no-pings
  --no-first-run --no-default-browser-check --disable-breakpad --disable-crash-reporter --metrics-recording-only
  --disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication
  --deny-permission-prompts --disable-gpu --disable-dev-shm-usage --mute-audio --password-store=basic`;

/**
 * A Chromium behind a tier's walls, which speaks on its stdin and stdout. Its own sandbox is off: it needs user namespaces, and the walls take
 * these away; so one tab is kept from another, and the browser from the machine, by the walls alone. Pure.
 */
export function planChromium(): readonly string[] {
  const own = "--headless --no-sandbox --remote-debugging-pipe --user-data-dir=/tmp/profile --window-size=1280,800";
  return [
    ...["bash", "-c", CHROMIUM_SCRIPT, "chromium", ...own.split(" "), ...NO_WAY.split(" ")],
    // Nor is a name looked up: the way out does that.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ...NOTHING_UNASKED.trim().split(/\s+/),
    ...[`--disk-cache-size=${LIMITS.browserDiskBytesMax / 4}`, "about:blank"],
  ];
}

/** Starts the forwarder, waits until it says that it listens, and becomes the command. Its output is not the browser's pipe. */
const FORWARD_SCRIPT = `count=$1; shift
read -r _ < <(exec "\${@:1:count}" </dev/null 2>/dev/null) || exit 1
exec "\${@:count+1}"`;

/** A command behind the walls that finds its way out at `TUNNEL_PROXY`. Pure. */
export function withForwarder(argv: readonly string[], { argv: forward, files, env }: Forwarder): Forwarder {
  return { argv: ["bash", "-c", FORWARD_SCRIPT, "way", String(forward.length), ...forward, ...argv], files, env };
}

/** What one browser may use. A process of it lives as long as a conversation, so its CPU time is bounded by the hour. */
export const BROWSER_LIMITS: TierLimits = {
  memoryBytesMax: LIMITS.browserMemoryBytesMax,
  processesMax: LIMITS.browserProcessesMax,
  fileBytesMax: LIMITS.browserDiskBytesMax,
  cpuSecondsMax: 3_600,
  sharedBytesMax: LIMITS.browserDiskBytesMax,
  tmpBytesMax: LIMITS.browserDiskBytesMax,
  diskFloorBytes: LIMITS.browserDiskBytesMax,
};
