/** Nothing in them is for a reader: programs, styles, menus, controls, media. */
export const SKIPPED = new Set(
  ("script style noscript template svg math iframe object embed canvas audio video map nav select datalist button textarea " +
    "noembed noframes xmp dialog").split(" "),
);
/** Begin a new block; those with an end tag are kept on the stack. */
export const BLOCKS = new Set(
  ("html body div section article aside main header footer form fieldset figure figcaption address center details summary dl dt dd " +
    "h1 h2 h3 h4 h5 h6 ul ol menu li blockquote table thead tbody tfoot tr td th caption pre")
    .split(" "),
);
/** Blocks without an end that matters. */
export const VOID_BLOCKS = new Set(["p", "hr"]);
/** Elements that never have an end tag (WHATWG HTML §13.1.2). */
export const VOID = new Set(
  "area base br col embed hr img input link meta param source track wbr".split(
    " ",
  ),
);
/** An open one of `group` ends where the element begins, unless one of `wall` stands between. */
export const IMPLIED_END: Readonly<
  Record<string, { readonly group: readonly string[]; readonly wall: readonly string[] }>
> = {
  li: { group: ["li"], wall: ["ul", "ol", "menu"] },
  dt: { group: ["dt", "dd"], wall: ["dl"] },
  dd: { group: ["dt", "dd"], wall: ["dl"] },
  tr: { group: ["tr", "td", "th"], wall: ["table"] },
  td: { group: ["td", "th"], wall: ["table", "tr"] },
  th: { group: ["td", "th"], wall: ["table", "tr"] },
};
/** Inline elements and the sign around their text. */
export const MARKS: Readonly<Record<string, string>> = {
  b: "**",
  strong: "**",
  i: "*",
  em: "*",
  s: "~~",
  del: "~~",
  strike: "~~",
  code: "`",
  kbd: "`",
  samp: "`",
  tt: "`",
};
const HIDDEN =
  /\shidden(?=[\s=/]|$)(?!\s*=\s*["']?until-found)|style\s*=\s*(?:"[^"]*|'[^']*)(?:display\s*:\s*none|visibility\s*:\s*hidden)/;

/** What a browser would not show: there a page hides words that are for a model alone. A page whose body waits for a script is shown. */
export function isHidden(name: string, tag: string): boolean {
  if (tag === "" || name === "body" || name === "html") return false;
  const start = tag.slice(0, TAG_CHARS_MAX).toLowerCase();
  return (start.includes("hidden") || start.includes("none")) &&
    HIDDEN.test(start);
}

/** Of one tag, looked through for what hides it. */
const TAG_CHARS_MAX = 4_096;
