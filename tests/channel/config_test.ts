import assert from "node:assert/strict";
import { ChannelsConfig, SenderBinding, TelegramConfig } from "#/channel/config.ts";

Deno.test("TelegramConfig is off by default and takes the name of a variable, not a token", () => {
  assert.deepEqual(ChannelsConfig.parse({}), {});
  assert.equal(TelegramConfig.parse({}).enabled, false);
  assert.equal(TelegramConfig.parse({}).max_message_length, 4096);
  assert.ok(!TelegramConfig.safeParse({ bot_token_env: "12345:AAE-token" }).success);
  assert.ok(!TelegramConfig.safeParse({ polling_timeout_secs: 0 }).success);
});

Deno.test("SenderBinding needs at least one id", () => {
  assert.ok(SenderBinding.safeParse({ platform_ids: ["1"] }).success);
  for (const bad of [{}, { platform_ids: [] }, { platform_ids: [" "] }, { platform_ids: [1] }]) {
    assert.ok(!SenderBinding.safeParse(bad).success, JSON.stringify(bad));
  }
});
