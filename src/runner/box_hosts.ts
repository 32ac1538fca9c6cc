import type { Bootstrap, ModelChoice } from "#/app/bootstrap.ts";
import { AppError } from "#/core/error.ts";
import { toRemoteAddress } from "#/memory/remote_address.ts";
import { isProtocol, toHost } from "#/provider/base_url.ts";

/** This machine, by the names that configurations give it. In a container they mean the container. */
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|0\.0\.0\.0)$/;

/** Where a guest in a container finds what it is told to connect to, by `host:port`. What is not in it stays where it is. */
export type MovedHosts = ReadonlyMap<string, string>;

/** The servers on this machine's loopback among `host:port`s. Pure. */
export function toLoopback(hosts: readonly string[]): { readonly hostname: string; readonly port: number }[] {
  return hosts.flatMap((host) => {
    const [, hostname = "", port = ""] = /^(.*):(\d+)$/.exec(host) ?? [];
    return LOOPBACK.test(hostname) ? [{ hostname, port: Number(port) }] : [];
  });
}

/** The hosts as seen from inside. Pure. */
export function moveHosts(hosts: readonly string[], moved: MovedHosts): string[] {
  return hosts.map((host) => moved.get(host) ?? host);
}

/**
 * What a guest is told, its addresses as seen from inside. Pure. Throws AppError `config_invalid` for what cannot be reached from there: TLS to
 * this machine's loopback, because the certificate names what the guest cannot call it, and a store there, which plain text is only for.
 */
export function moveTold<T extends Pick<Bootstrap, "model" | "fallback" | "store">>(told: T, moved: MovedHosts): T {
  const { model, fallback, store } = told;
  const storeHost = store === undefined ? undefined : toRemoteAddress(store.url)?.host;
  if (storeHost !== undefined && moved.has(storeHost)) {
    throw refuse(store!.url, "it would be plain text between machines");
  }
  return {
    ...told,
    model: moveModel(model, moved),
    ...(fallback === undefined ? {} : { fallback: fallback.map((choice) => moveModel(choice, moved)) }),
  };
}

function moveModel(choice: ModelChoice, moved: MovedHosts): ModelChoice {
  const { type, baseUrl } = choice;
  const host = baseUrl === undefined || !isProtocol(type) ? undefined : moved.get(toHost(baseUrl, type));
  if (host === undefined) return choice;
  const url = new URL(baseUrl!);
  if (url.protocol === "https:") {
    throw refuse(url.origin, "its certificate is for a name that means the container there");
  }
  url.host = host;
  return { ...choice, baseUrl: url.href };
}

function refuse(what: string, why: string): AppError {
  return new AppError(
    "config_invalid",
    `${what} cannot be reached from a container: ${why}; --tier process reaches it`,
  );
}
