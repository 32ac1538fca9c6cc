import assert from "node:assert/strict";
import { SPOKEN_MARKERS } from "#/turn/commitment.ts";

Deno.test("SPOKEN_MARKERS knows what binds someone, in the languages that it lists", () => {
  const binding = [
    "I will call her.",
    "I’ll do it",
    "You must not delete it",
    "Send it by Friday",
    "to-do: tests",
    "Remind me of it",
    "Never use the old key",
    "Ich werde es schicken",
    "bis Montag bitte",
    "Vergiss nicht die Blumen",
    "Il faut payer",
    "Rappelle-moi demain",
    "Tengo que salir",
    "Recuérdame",
    "Devo partire entro lunedì",
    "Tenho que ir",
    "Dat moet morgen",
    "Muszę iść",
    "Напомни мне",
    "Я обещаю",
    "必须完成",
    "金曜日までに",
    "반드시 해야",
  ];
  const free = [
    "The mustard is yellow",
    "It was a duet",
    "Montag war schön",
    "What is that?",
    "A dozen eggs",
    "untilted",
  ];
  for (const text of binding) assert.ok(SPOKEN_MARKERS.test(text), text);
  for (const text of free) assert.ok(!SPOKEN_MARKERS.test(text), text);
});
