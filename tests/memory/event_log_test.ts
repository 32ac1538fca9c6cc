import { DatabaseSync } from "node:sqlite";
import { openEventLog } from "#/memory/sqlite.ts";
import { testEventLog } from "../contract/event_log_contract.ts";
import { guestCommand } from "./guest_command.ts";

testEventLog("SqlEventLog on node:sqlite", (folder, now) => openEventLog({ path: `${folder}/events.db`, now }), {
  execute(folder, sql) {
    const db = new DatabaseSync(`${folder}/events.db`);
    db.exec(sql);
    db.close();
    return Promise.resolve();
  },
  writer(folder, batch) {
    const args = [`${folder}/events.db`, String(batch.events), String(batch.chars), batch.durability];
    return guestCommand("append_child.ts", folder, args);
  },
});
