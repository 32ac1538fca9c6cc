import { ANTHROPIC } from "../fake/anthropic_dialect.ts";
import { testDialectContract } from "./dialect_contract.ts";

testDialectContract(ANTHROPIC);
