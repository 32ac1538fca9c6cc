import { OPENAI } from "../fake/openai_dialect.ts";
import { testDialectContract } from "./dialect_contract.ts";

testDialectContract(OPENAI);
