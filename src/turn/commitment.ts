/**
 * Words by which a sentence binds someone: a promise, a duty, a deadline, a reminder, a decision. A list for the languages that people have
 * asked for, not a grammar: what it misses the model may still write down, and what it finds too much costs a line. Japanese, Chinese and Korean
 * have no spaces between words, so their marks stand without a boundary.
 */
const LATIN: readonly string[] = [
  // English
  "i will|i'll|i’ll|we will|we'll|we’ll|i promise|promised|must|mustn['’]t|have to|has to|need to|needs to|shall|should|to-?do|remind|reminder",
  "deadline|due|no later than|by (?:mon|tues|wednes|thurs|fri|satur|sun)day|by (?:today|tomorrow|tonight|noon|midnight|eod|the end of|end of)|until",
  "by \\d|before \\d|do not|don['’]t|never|always|remember|agreed|we decided|asap|only if|unless",
  // German
  "ich werde|wir werden|muss|müssen|musst|soll|sollst|sollen|sollte|bis (?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|morgen|heute|ende|zum|spätestens)",
  "spätestens|frist|fällig|erinner\\p{L}*|vergiss nicht|versprochen|verspreche|niemals|nie|immer|vereinbart|darf nicht|nicht vergessen",
  // French
  "je vais|nous allons|dois|doit|devons|doivent|il faut|d['’]ici|avant (?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|demain|le)|rappelle\\p{L}*|échéance|n['’]oublie\\p{L}*|promis|jamais|toujours",
  // Spanish
  "voy a|vamos a|debo|debe|debemos|hay que|tengo que|tenemos que|antes del?|recu[eé]rda\\p{L}*|plazo|vence|no olvides|prometo|nunca|siempre",
  // Italian, Portuguese, Dutch, Polish
  "devo|deve|dobbiamo|bisogna|entro|ricorda\\p{L}*|scadenza|non dimenticare|prometto|temos que|tenho que|até|lembr\\p{L}*|prazo",
  "moet|moeten|zal|zullen|uiterlijk|beloof|herinner\\p{L}*|muszę|musimy|trzeba|termin|obiecuję|przypomnij",
  // Russian, Ukrainian
  "должен|должна|должны|нужно|надо|обязательно|напомни\\p{L}*|срок|обещаю|никогда|всегда|не забудь\\p{L}*|треба|повинен|повинна|обіцяю",
];
const CJK =
  "必须|必須|务必|記得|记得|提醒|截止|之前|承诺|不要忘记|までに|必ず|忘れない|締め切り|締切|約束|반드시|까지|약속|마감";

/** True for a sentence that binds someone. */
export const SPOKEN_MARKERS = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${LATIN.join("|")})(?![\\p{L}\\p{N}_])|${CJK}`, "iu");
