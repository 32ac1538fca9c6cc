/** The web of the benches, in a process of its own: prints its port and lives until its stdin ends. `/page/N`: HTML of about N bytes; `/slow/MS`. */

const PARAGRAPH = '<p>Some <b>words</b> of a page with a <a href="/other">link</a> and <code>code</code>.</p>\n';

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) },
  async (request) => {
    const [, what, number] = new URL(request.url).pathname.split("/");
    if (what === "slow") await new Promise((resolve) => setTimeout(resolve, Number(number)));
    const bytes = what === "page" ? Number(number) : 0;
    const html = `<!doctype html><title>A page</title>\n${PARAGRAPH.repeat(Math.ceil(bytes / PARAGRAPH.length))}`;
    return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
);
for await (const _ of Deno.stdin.readable);
await server.shutdown();
