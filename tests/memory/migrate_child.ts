/** A process that opens an event log with two slow steps more than there are, until it is killed: `migrate_child.ts <path>`. */
import { MIGRATIONS } from "#/memory/migrations.ts";
import { openEventLog } from "#/memory/sqlite.ts";

const [path = ""] = Deno.args;
const rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)";
const toStep = (name: string) => [
  `CREATE TABLE ${name} (a BLOB)`,
  ...Array.from({ length: 4 }, () => `${rows} INSERT INTO ${name} SELECT randomblob(900) FROM n`),
  `UPDATE events SET payload = '{"text":"changed by ${name}","channel":"x"}'`,
];
await openEventLog({ path, now: Date.now, migrations: [...MIGRATIONS, toStep("one"), toStep("two")] });
console.log("migrated");
