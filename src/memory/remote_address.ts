/** Where a remote store is. */
export interface RemoteAddress {
  /** http or https, with a slash at the end. */
  readonly url: string;
  /** `host:port`, as `--allow-net` wants it. */
  readonly host: string;
  /** What messages call the store. */
  readonly name: string;
}

const SECURE = new Set(["libsql:", "https:", "wss:"]);
const PLAIN = new Set(["http:", "ws:"]);
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * The address that `memory.remote_url` means: `libsql:`, `wss:` and `https:` are https, `ws:` and `http:` are http, which is for this machine
 * alone: the token and every conversation would be on the wire. Undefined for anything else, a password and a query included.
 */
export function toRemoteAddress(text: string): RemoteAddress | undefined {
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return undefined;
  }
  const isPlain = PLAIN.has(url.protocol);
  if (!isPlain && !SECURE.has(url.protocol)) return undefined;
  // A scheme that no standard knows keeps the host as it was written: parse it again as what it means.
  const meant = URL.parse(text.replace(/^[a-z]+:/i, isPlain ? "http:" : "https:"));
  if (meant === null || meant.hostname === "" || isPlain && !LOOPBACK.test(meant.hostname)) return undefined;
  const host = `${meant.hostname}:${meant.port || (isPlain ? "80" : "443")}`;
  return { url: meant.href.replace(/\/*$/, "/"), host, name: `remote store ${host}` };
}
