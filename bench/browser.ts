import { openHostileSite } from "../tests/fake/hostile_site.ts";
import { openKit } from "../tests/sandbox/browser_kit.ts";
import { type Bench, median, timed } from "./row.ts";

const ROUNDS = 20;
const STARTS = 5;

/** What a conversation waits for its browser: the first page from nothing, then pages, their texts and a picture. */
export const browser: Bench = {
  name: "browser",
  async run({ quick }) {
    await using site = openHostileSite();
    await using kit = await openKit();
    const go = async (path: string, session: string) => {
      const text = await kit.browse({ action: "navigate", url: site.url + path }, session);
      if (!text.includes("Next page")) throw new Error(text);
    };
    const firsts: number[] = [];
    for (let start = -1; start < (quick ? 2 : STARTS); start++) {
      const ms = await timed(() => go("/next", `first ${start}`));
      if (start >= 0) firsts.push(ms);
      await kit.browsers.end(`first ${start}`);
    }
    const [pages, texts, pictures]: [number[], number[], number[]] = [[], [], []];
    await go("/next", "warm");
    for (let round = -3; round < (quick ? 5 : ROUNDS); round++) {
      const page = await timed(() => go(`/next?${round}`, "warm"));
      const text = await timed(async () => void await kit.browse({ action: "text" }, "warm"));
      const picture = await timed(async () => void await kit.browse({ action: "screenshot" }, "warm"));
      if (round < 0) continue;
      pages.push(page + text);
      texts.push(text);
      pictures.push(picture);
    }
    return [
      {
        name: "the first page of a conversation, from no browser at all",
        value: median(firsts),
        unit: "ms",
        note: `median of ${firsts.length}; walls, Chromium, its driver and a page of one line`,
      },
      {
        name: "a page and its text, in a browser that runs",
        value: median(pages),
        unit: "ms",
        note: `median of ${pages.length}; a page is looked at after 80 ms without a change`,
      },
      { name: "the text of a page that is open", value: median(texts), unit: "ms", note: `median of ${texts.length}` },
      { name: "a picture of it", value: median(pictures), unit: "ms", note: "1280 × 800 as PNG, without its file" },
    ];
  },
};
