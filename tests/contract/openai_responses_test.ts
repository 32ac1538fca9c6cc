import { RESPONSES } from "../fake/responses_dialect.ts";
import { testDialectContract } from "./dialect_contract.ts";

testDialectContract(RESPONSES);
