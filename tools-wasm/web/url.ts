/** The most common reference: an absolute path in which nothing has to be changed. */
const PLAIN_PATH = /^\/(?!\/)[\w\-./?&=%#~:,+;@!$*]{0,500}$/;
const UNSAFE = /[\s<>"`()]/;
/** RFC 3986, appendix B, for addresses with a host. */
const PARTS = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/i;
/** Longer addresses help no reader; the broker takes 8,192. */
const URL_CHARS_MAX = 2_048;

/** Makes a reference of a page an absolute http address; undefined for what leads nowhere a tool could go. */
export type Resolve = (reference: string) => string | undefined;

/**
 * Resolves the references of a page (RFC 3986 §5.2). `javascript:`, `data:`, `mailto:` and places on the same page give undefined.
 * The broker judges every address again with the URL parser of the platform; this one only writes what a model reads.
 */
export function toResolver(base: string): Resolve {
  const [, baseScheme = "", baseHost = "", basePath = "", baseQuery = ""] = PARTS.exec(base) ?? [];
  const folder = basePath.slice(0, basePath.lastIndexOf("/") + 1) || "/";
  const origin = `${baseScheme.toLowerCase()}://${baseHost}`;
  return (reference) => {
    if (PLAIN_PATH.test(reference) && !reference.includes("/.")) {
      return origin + reference;
    }
    // A browser drops line breaks and tabs inside, and reads a backslash as a slash (WHATWG URL §4.4).
    const text = reference.trim().slice(0, URL_CHARS_MAX + 1).replace(
      /[\t\n\r]+/g,
      "",
    ).replace(/\\/g, "/");
    if (text === "" || text.startsWith("#") || text.length > URL_CHARS_MAX) {
      return undefined;
    }
    const [, scheme, host, path = "", query = "", fragment = ""] = PARTS.exec(
      text,
    )!;
    const finalScheme = (scheme ?? baseScheme).toLowerCase();
    if (
      finalScheme !== "http" && finalScheme !== "https" || host === "" ||
      scheme !== undefined && host === undefined
    ) {
      return undefined;
    }
    const start = `${finalScheme}://${host ?? baseHost}`;
    if (host === undefined && path === "") {
      return toSafe(`${start}${basePath}${query || baseQuery}${fragment}`);
    }
    const whole = host !== undefined || path.startsWith("/") ? path : folder + path;
    return toSafe(
      start + (whole.includes("/.") ? removeDots(whole) : whole) + query +
        fragment,
    );
  };
}

/** RFC 3986 §5.2.4. */
function removeDots(path: string): string {
  const out: string[] = [];
  const parts = path.split("/");
  for (const [index, part] of parts.entries()) {
    if (part === "..") {
      if (out.length > 1) out.pop();
    } else if (part !== ".") out.push(part);
    if ((part === "." || part === "..") && index === parts.length - 1) {
      out.push("");
    }
  }
  return out.join("/");
}

/** Blanks, brackets and quotes would end the address where Markdown reads it. */
function toSafe(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(
    /[\s<>"`()]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
