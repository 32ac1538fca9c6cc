/** Names of HTML 4 from U+00A0 on, in code point order (WHATWG named character references; the rest is rare in pages). */
const LATIN_1 =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para middot " +
  "cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml " +
  "Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig " +
  "agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute " +
  "ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";
const GREEK =
  "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho - Sigma Tau Upsilon Phi Chi Psi Omega " +
  "- - - - - - - alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma tau upsilon " +
  "phi chi psi omega";
const OTHERS =
  "amp& lt< gt> quot\" apos' ensp\u2002 emsp\u2003 thinsp\u2009 ndash– mdash— lsquo‘ rsquo’ sbquo‚ ldquo“ rdquo” bdquo„ dagger† " +
  "Dagger‡ bull• hellip… permil‰ prime′ Prime″ lsaquo‹ rsaquo› euro€ trade™ larr← uarr↑ rarr→ darr↓ harr↔ lArr⇐ rArr⇒ hArr⇔ forall∀ " +
  "part∂ exist∃ empty∅ nabla∇ isin∈ notin∉ ni∋ prod∏ sum∑ minus− lowast∗ radic√ prop∝ infin∞ ang∠ and∧ or∨ cap∩ cup∪ int∫ there4∴ " +
  "sim∼ cong≅ asymp≈ ne≠ equiv≡ le≤ ge≥ sub⊂ sup⊃ sube⊆ supe⊇ oplus⊕ otimes⊗ perp⊥ sdot⋅ lceil⌈ rceil⌉ lfloor⌊ rfloor⌋ loz◊ " +
  "spades♠ clubs♣ hearts♥ diams♦ OElig\u0152 oelig\u0153 Scaron\u0160 scaron\u0161 Yuml\u0178 fnof\u0192 circ\u02c6 tilde\u02dc " +
  "zwnj\u200c zwj\u200d lrm\u200e rlm\u200f num# lsqb[ rsqb] lbrack[ rbrack] lpar( rpar) lcub{ rcub} lbrace{ rbrace} verbar| vert| " +
  "colon: semi; comma, period. excl! quest? sol/ bsol\\ ast* plus+ equals= percnt% commat@ dollar$ lowbar_ grave` Hat^ check✓ star☆ " +
  "starf★ NewLine\n Tab\t";
/** What 0x80–0x9F of a numeric reference means: windows-1252 (WHATWG HTML, numeric character reference end state). */
const WINDOWS_1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";
/** References that old pages write without a semicolon. */
const BARE = new Set(["amp", "lt", "gt", "quot", "nbsp", "copy", "reg"]);
const REFERENCE = /&(?:#(?:[xX]([0-9a-fA-F]{1,31})|([0-9]{1,31}))|([a-zA-Z][a-zA-Z0-9]{1,31}))(;?)/y;

const NAMED: ReadonlyMap<string, string> = new Map([
  ...LATIN_1.split(" ").map((
    name,
    index,
  ): [string, string] => [name, String.fromCharCode(0xa0 + index)]),
  ...GREEK.split(" ").map((
    name,
    index,
  ): [string, string] => [name, String.fromCharCode(0x391 + index)]),
  ...OTHERS.split(/ (?=\S)/).map((
    entry,
  ): [string, string] => [entry.slice(0, -1), entry.slice(-1)]),
]);

/**
 * Text with its character references decoded; what is none stays as it is. In an attribute a name without a semicolon is not one:
 * `?a=1&copy=2` is an address.
 */
export function decodeEntities(text: string, isAttribute = false): string {
  let out = "";
  let done = 0;
  // One at a time: `replace` of QuickJS keeps every match until the end, which for a page of them is more than a component has.
  for (let at = text.indexOf("&"); at >= 0; at = text.indexOf("&", at)) {
    REFERENCE.lastIndex = at;
    const match = REFERENCE.exec(text);
    const character = match === null ? undefined : toCharacter(match, isAttribute);
    if (character === undefined) at++;
    else {
      out += text.slice(done, at) + character;
      done = at += match![0].length;
    }
  }
  return done === 0 ? text : out + text.slice(done);
}

function toCharacter([, hex, decimal, name, semicolon]: RegExpExecArray, isAttribute: boolean): string | undefined {
  if (name === undefined) return fromCode(hex === undefined ? Number(decimal) : parseInt(hex, 16));
  return semicolon === ";" || (!isAttribute && BARE.has(name)) ? NAMED.get(name) : undefined;
}

function fromCode(code: number): string {
  if (code >= 0x80 && code <= 0x9f) return WINDOWS_1252[code - 0x80]!;
  const isCharacter = code > 0 && code <= 0x10ffff &&
    (code < 0xd800 || code > 0xdfff);
  return isCharacter ? String.fromCodePoint(code) : "\ufffd";
}
