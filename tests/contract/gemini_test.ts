import { GEMINI } from "../fake/gemini_dialect.ts";
import { testDialectContract } from "./dialect_contract.ts";

testDialectContract(GEMINI);
