import { openEventLog } from "#/memory/sqlite.ts";
import { testSessionStore } from "../contract/session_store_contract.ts";

// The class itself is src/memory/session_store.ts; its file format src/memory/session_file.ts, read by src/memory/session_import.ts.
testSessionStore("SqlSessionStore", (folder, now) => openEventLog({ path: `${folder}/log.db`, now }));
