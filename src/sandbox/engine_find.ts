import { AppError } from "#/core/error.ts";
import { Engine } from "#/sandbox/engine.ts";

/** What decides where an engine is looked for. */
export interface EnginePlace {
  /** DOCKER_HOST, when it is set. */
  readonly dockerHost?: string;
  /** XDG_RUNTIME_DIR, when it is set. */
  readonly runtimeDir?: string;
  readonly uid: number;
}

/** What to do where nothing was found. */
const INSTALL = "install podman and run `systemctl --user enable --now podman.socket`, or install docker.io";
const GROUP =
  "membership of the group docker is root on this machine; rootless podman is the better way: `systemctl --user enable --now podman.socket`";

/**
 * Sockets by the order in which they are tried. DOCKER_HOST alone when it is set, and only a unix one: TCP is root without a lock. Throws
 * AppError `tier_unavailable` for any other. Pure.
 */
export function toEngineSockets({ dockerHost, runtimeDir, uid }: EnginePlace): readonly string[] {
  if (dockerHost) {
    const path = /^unix:\/\/(\/[^\0]+)$/.exec(dockerHost)?.[1];
    if (path !== undefined) return [path];
    const text =
      "DOCKER_HOST must be unix:///… here: an engine on a TCP port is root for everyone who reaches the port";
    throw new AppError("tier_unavailable", text);
  }
  return [
    "/var/run/docker.sock",
    ...runtimeDir === undefined ? [] : [`${runtimeDir}/docker.sock`],
    `${runtimeDir ?? `/run/user/${uid}`}/podman/podman.sock`,
    "/run/podman/podman.sock",
  ];
}

/**
 * The first engine that answers. Throws AppError `tier_unavailable` with what each socket that is there said, and `params.install`, what to do;
 * `cancelled`.
 */
export async function findEngine(place: EnginePlace, signal: AbortSignal): Promise<Engine> {
  const said: string[] = [];
  const sockets = toEngineSockets(place);
  for (const path of sockets) {
    try {
      return await Engine.open(path, signal);
    } catch (error) {
      if (!(error instanceof AppError) || error.code === "cancelled") throw error;
      if (place.dockerHost || !error.message.endsWith("is not there")) said.push(error.message);
    }
  }
  if (said.length === 0) said.push(`no container engine was found (looked for ${sockets.join(", ")})`);
  const install = said.some((text) => text.includes("may not be opened")) ? GROUP : INSTALL;
  throw new AppError("tier_unavailable", said.join("; "), { params: { install } });
}
