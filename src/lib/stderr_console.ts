/**
 * Imported first by every process whose stdout carries frames: a package that prints would otherwise break the link.
 * The one module with a side effect at import, because imports run before the first statement of the file that has them.
 */
console.log = console.error;
console.info = console.error;
console.debug = console.error;
console.table = console.error;
console.dir = console.error;
