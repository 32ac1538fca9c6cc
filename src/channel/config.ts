import { z } from "zod";
import { count, envName, line, seconds } from "#/lib/field.ts";

/** `[[channels.telegram.senders]]`: one person, by the ids that the platform gives them. */
export const SenderBinding = z.strictObject({
  platform_ids: z.array(line()).min(1),
  display_name: line().optional(),
});
export type SenderBinding = z.infer<typeof SenderBinding>;

/** `[channels.telegram]`. When enabled it needs the name of the variable with the bot token and at least one sender. */
export const TelegramConfig = z.strictObject({
  enabled: z.boolean().default(false),
  bot_token_env: envName().optional(),
  polling_timeout_secs: seconds().default(30),
  /** UTF-16 code units before a message is split. */
  max_message_length: count().default(4_096),
  senders: z.array(SenderBinding).default([]),
});
export type TelegramConfig = z.infer<typeof TelegramConfig>;

/** `[channels]` of a user's file. */
export const ChannelsConfig = z.strictObject({ telegram: TelegramConfig.optional() });
export type ChannelsConfig = z.infer<typeof ChannelsConfig>;
