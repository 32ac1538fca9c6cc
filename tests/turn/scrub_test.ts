import assert from "node:assert/strict";
import { scrubSecrets } from "#/turn/scrub.ts";
import { assertLinear } from "../fixture/linear.ts";

/** Made here, so that no scanner of repositories takes it for a key. */
const RANDOM = "q7Zk2Vx9Lm4Tn8Rw3Yb6Hd1Pc5Js0Fg";
const HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
const UUID = "f67a40ad-16d5-476a-a8a4-eb85e8817705";
const LINES = Array.from({ length: 4 }, (_, line) => `${RANDOM}${line}+/`.repeat(2).slice(0, 64)).join("\n");
const pem = (kind: string, body = LINES) => `-----BEGIN ${kind}-----\n${body}\n-----END ${kind}-----`;
const SHA512 = `${`${RANDOM}+/A`.repeat(3).slice(0, 86)}==`;

/** A text, and what stays of it. */
const REDACTED: readonly (readonly [string, string])[] = [
  // .env, shells, flags
  ["OPENAI_API_KEY=abcdefgh12", "OPENAI_API_KEY=[REDACTED:api_key]"],
  ["DB_PASSWORD=swordfish", "DB_PASSWORD=[REDACTED:password]"],
  ["A=1\nexport MY_SECRET=swordfish # old\nB=2", "A=1\nexport MY_SECRET=[REDACTED:secret] # old\nB=2"],
  ["PASSWORD=a,b;c(d)$e1\r\nX=1", "PASSWORD=[REDACTED:password]\r\nX=1"],
  ["export TOKEN='abc def 1'", "export TOKEN='[REDACTED:token]'"],
  ["mysql --password=swordfish -u root", "mysql --password=[REDACTED:password] -u root"],
  ["cli --api-key abcd1234efgh run", "cli --api-key [REDACTED:api_key] run"],
  ["set AWS_SECRET_ACCESS_KEY=abcd/efgh+1", "set AWS_SECRET_ACCESS_KEY=[REDACTED:access_key]"],
  // JSON, also inside a string
  ['{"password":"CorrectHorseBatteryStaple"}', '{"password":"[REDACTED:password]"}'],
  ['{"apiKey" : "ab\\"cd12ef", "n": 1}', '{"apiKey" : "[REDACTED:api_key]", "n": 1}'],
  ['"{\\"client_secret\\":\\"abcd1234\\"}"', '"{\\"client_secret\\":\\"[REDACTED:client_secret]\\"}"'],
  ['{"access_token":"abcdefgh","token_type":"x"}', '{"access_token":"[REDACTED:access_token]","token_type":"x"}'],
  ['{"credentials":"u12345678"}', '{"credentials":"[REDACTED:credentials]"}'],
  ['{"token":"abcdefgh12', '{"token":"[REDACTED:token]'],
  // YAML, TOML, INI
  ["db:\n  password: hunter2\n  user: me", "db:\n  password: [REDACTED:password]\n  user: me"],
  ["- secret: p@ssw,rd # why", "- secret: [REDACTED:secret] # why"],
  ["passwd = 12345678", "passwd = [REDACTED:passwd]"],
  ["pin\npassword: 4711", "pin\npassword: [REDACTED:password]"],
  ['[x]\napi_key = "abcdefgh12"', '[x]\napi_key = "[REDACTED:api_key]"'],
  ['passphrase: "correct horse battery staple"', 'passphrase: "[REDACTED:passphrase]"'],
  // Programs
  ['const password = "hunter2";', 'const password = "[REDACTED:password]";'],
  ["'secret' => 'abcd1'", "'secret' => '[REDACTED:secret]'"],
  ['const token: string = "abcd1234efgh"', 'const token: string = "[REDACTED:token]"'],
  ['let key: &str; let api_key: &str = "abcd1234";', 'let key: &str; let api_key: &str = "[REDACTED:api_key]";'],
  ['os.environ["DB_PASSWORD"] = "hunter2"', 'os.environ["DB_PASSWORD"] = "[REDACTED:password]"'],
  ['password=b"hunter2"', 'password=b"[REDACTED:password]"'],
  ['if password == "hunter2":', 'if password == "[REDACTED:password]":'],
  ["connect(password=hunter2, user=me)", "connect(password=[REDACTED:password], user=me)"],
  ["<server><password>swordfish</password></server>", "<server><password>[REDACTED:password]</password></server>"],
  ["The password is hunter2.", "The password is [REDACTED:password]"],
  // Headers, URLs
  ["Authorization: Bearer very-secret-token", "Authorization: Bearer [REDACTED:authorization]"],
  ["authorization: basic dTpwYXNz\r\nHost: x", "authorization: basic [REDACTED:authorization]\r\nHost: x"],
  [`{"Authorization":"token abc123def"}`, `{"Authorization":"token [REDACTED:authorization]"}`],
  ["proxy-authorization: Basic QWxhZGRpbg==", "proxy-authorization: Basic [REDACTED:authorization]"],
  [`Authorization: abcd1234efgh5678`, `Authorization: [REDACTED:authorization]`],
  [`curl -H 'X-Api-Key: abcd1234'`, `curl -H 'X-Api-Key: [REDACTED:api_key]'`],
  ["sent bearer abcdefgh12345678 twice", "sent bearer [REDACTED:authorization] twice"],
  ["Cookie: sid=abc; theme=dark\nHost: x", "Cookie: [REDACTED:cookie]\nHost: x"],
  ["set-cookie: sid=abc; Path=/; HttpOnly", "set-cookie: [REDACTED:cookie]; Path=/; HttpOnly"],
  ["GET /a?x=1&token=abcdefgh&y=2 HTTP/1.1", "GET /a?x=1&token=[REDACTED:token]&y=2 HTTP/1.1"],
  ["https://h/p?api_key=abcdefgh#top", "https://h/p?api_key=[REDACTED:api_key]"],
  ["postgres://app:s3cr:et@db:5432/x", "postgres://app:[REDACTED:password]@db:5432/x"],
  ["redis://:hunter22@[::1]/0", "redis://:[REDACTED:password]@[::1]/0"],
  ['Set-Cookie: a="b; c"; Path=/', "Set-Cookie: [REDACTED:cookie]; Path=/"],
  // Shapes
  ...[
    `sk-proj-${RANDOM}`,
    `sk-${HEX.slice(0, 32)}`,
    `sk_live_${RANDOM}`,
    `ghp_${RANDOM}abcde`,
    `github_pat_${RANDOM}`,
    `glpat-${RANDOM}`,
    `xoxb-1234567890-abc`,
    `AKIA${"ABCD1234".repeat(2)}`,
    `AIza${`${RANDOM}abcd`.slice(0, 35)}`,
    `npm_${`${RANDOM}abcdefgh`.slice(0, 36)}`,
    `eyJhbGciOiJI.eyJzdWIiOiIx.${RANDOM}`,
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
  ].flatMap((token): [string, string][] => [
    [token, "[REDACTED:token]"],
    [`see (${token}), or https://x/${token}?a`, "see ([REDACTED:token]), or https://x/[REDACTED:token]?a"],
  ]),
  // Keys
  [`a\n${pem("RSA PRIVATE KEY")}\nb`, "a\n[REDACTED:private_key]\nb"],
  [`{"k":${JSON.stringify(pem("PRIVATE KEY"))}}`, '{"k":"[REDACTED:private_key]"}'],
  [`private_key = "${pem("EC PRIVATE KEY")}"`, 'private_key = "[REDACTED:private_key]"'],
  [pem("OPENSSH PRIVATE KEY").slice(0, 150), "[REDACTED:private_key]"],
  [pem("PGP PRIVATE KEY BLOCK"), "[REDACTED:private_key]"],
  // Entropy
  [`artifact_id=${RANDOM}`, "artifact_id=[REDACTED:high-entropy]"],
  [`id: ${RANDOM.slice(0, 24)}`, "id: [REDACTED:high-entropy]"],
  [`"${RANDOM}+/${RANDOM}=="`, '"[REDACTED:high-entropy]"'],
  [
    `https://hooks.example.com/services/incoming/T1/${RANDOM}/end`,
    "https://hooks.example.com/services/incoming/T1/[REDACTED:high-entropy]/end",
  ],
  [`prod-key-${RANDOM}-and-${RANDOM}`, "[REDACTED:high-entropy]"],
  [
    `/workspace/exports/of-the-year/documents/summary/${RANDOM}/and/${RANDOM}`,
    "/workspace/exports/of-the-year/documents/summary/[REDACTED:high-entropy]/and/[REDACTED:high-entropy]",
  ],
  [`${RANDOM.repeat(17).slice(0, 512)}`, "[REDACTED:high-entropy]"],
  ["k9x2m4q7w1z8r3t6y5u0p2s4d6f8", "[REDACTED:high-entropy]"],
  ["MFRGGZ2DF7Q2XK5LTN3J4PVW6YZHA2EC", "[REDACTED:high-entropy]"],
];

/** What must stay as it is. */
const ORDINARY: readonly string[] = [
  "",
  "Forgot your password? Enter the token that we sent: it is secret, and expires soon.",
  "The token is expired. The password is required; the secret is: nobody knows.",
  "Password: must be at least 8 characters, tokens: 4096, Bearer token authentication",
  'max_tokens: 4096, "max_tokens": 4096, token_count=12, tokens=12345678, num_tokens = 1000000',
  '[[provider]]\napi_key_env = "OPENAI_API_KEY"\napi_key = "$OPENAI_API_KEY"',
  "password: <your password>\nsecret: ${{ secrets.X }}\ntoken: ${VAR}\nTOKEN=$VAR\nPASSWORD=$(pass show x)\nAPI_KEY=",
  "secret: your-secret-here\napi_key: YOUR_API_KEY\npassword: ********\ntoken: xxxxxxxxxxxx\ntoken: ...",
  "password: null\nsecret: true\ntoken: {{ .Values.token }}\npassword: !vault |\npassword: '%s'",
  '{"password": "string", "token": "", "secret": null, "credentials": "same-origin"}',
  '{"type":"object","properties":{"password":{"type":"string"},"token":{"type":"string"}}}',
  '"password": "Enter your password", "token": "The token of the bot."',
  'interface A { password: string; token?: string; apiKey: Uint8Array; secret: Array<string>; credentials: "include" }',
  "const token = getToken(); const password = await prompt1(); let secret = tokens[0]; token = self.token1;",
  'password = os.environ["DB_PASSWORD"]; token = config.auth2.token; secret = process.env.SECRET_2; x.token = t!;',
  "def connect(password=None, token: str = None, secret=secret, api_key=args.api_key2):",
  "connect(\n    password=password,\n    token=token2,\n    secret=settings.secret\n)",
  "if (token === null || token == undefined || password != other1) { next.token => token.id; }",
  "fn parse(token: &Token, password: [u8; 32], secret: Option<Secret<u8>>, api_key: u64) -> token::Kind",
  'token: z.string().min(8), password: "form.password.label", secret: `${a}-${b}`, apiKey: `read(${x})`',
  '{"nextPageToken":"abcd1234efgh","eos_token":"</s>","pad_token":"[PAD]","page_token":"abcd1234"}',
  'curl -H "Authorization: Bearer $TOKEN" -H "Authorization: Bearer <token>" -H "X-Api-Key: ${KEY}"',
  'headers.set("Authorization", `Bearer ${token}`); Authorization: string; authorization: AuthorizationType',
  "Authorization: Bearer YOUR_API_KEY\nCookie: a small file of a site\nCookie: ${name}=${value}",
  "private_key: ./keys/server.pem\nprivateKey = /etc/ssl/private/host1.key\ntoken: https://example.com/token1",
  "postgres://user:password@localhost/db http://host:8080/a@b https://example.com:443/x ssh://git@host:22/x",
  "postgres://app:${DB_PASSWORD}@db/x http://<user>:<password>@proxy mailto:a@b.example",
  'if (text.includes("-----BEGIN PRIVATE KEY-----")) return "-----END PRIVATE KEY-----";',
  pem("CERTIFICATE"),
  pem("PUBLIC KEY"),
  `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${RANDOM}Ab1 me@host`,
  `SHA256:${RANDOM}Ab1 me@host (ED25519)`,
  `commit ${HEX}\nAuthor: A <a@b.example>\nDate: Mon Jan 1 10:00:00 2024 +0100\n\n    token: fix parser\n\nindex 1a2b3c4..5d6e7f8`,
  `"integrity": "sha512-${SHA512}", "integrity": "sha1-${RANDOM}="`,
  `golang.org/x/text v0.3.0 h1:${RANDOM}${RANDOM.slice(0, 12)}=`,
  `checksum = "${HEX}${HEX.slice(0, 24)}"\nsha256:${HEX}${HEX.slice(0, 24)} ${HEX.toUpperCase()}`,
  `{"note_id":"note-${UUID}","id":"${UUID}","req":"${UUID.toUpperCase()}"} 01ARZ3NDEKTSV4RRFFQ69G5FAV`,
  `-rw-r--r-- 1 me me 4096 Jan  1 2024 IMG_20240101_123456_burst001_COVER.jpg libstdc++.so.6.0.30`,
  "cp36-cp36m-manylinux1_x86_64 torch-2.1.0+cu118-cp311-cp311-linux_x86_64.whl",
  "/usr/lib/x86_64-linux-gnu/gtk-3.0/3.0.0/immodules/im-wayland.so node_modules/@scope/pkg-2/dist/index.d.ts:12:5",
  "frontend-web-7d9f8c6b5d-x2x4z my-component-2-with-long-name-v3 kube-controller-manager-node01-2",
  "a,b,c\n2024-01-01T10:00:00.000Z,1234567890123456789012345,aaaaaaaaaaaaaaaaaaaaaaaaaaaa1\n",
  ".Button_primary__3kf9X.sk-loading-spinner-animated-block .css-1q2w3e4 .sk-fading-circle12-wrapper xoxo-love-and-kisses",
  "getUserByEmailAddressAndPassword convert_utf8_to_base64_string_v2 findVisualStudio2019OrNewerUsingSetup",
  "HashedRekordLogEntryV002 PBEWithHmacSHA256AndAES_256 SQLTextWaveTo2DBinaryWave Process2DQuadTessFactorsAvg",
  'print("raw token=" + repr(result)); print("Token: "+x1+"!"); SEND_TOKEN = "send_initial_metadata"',
  "authorization = authorization[1].encode('utf8')",
  "function(e,t,n){return e.a1+t.b2?n(e):Object.assign({},t)}!function(){var r=1e3,i=/[a-z]{2}/g}();",
  "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft2",
  `data:image/png;base64,${RANDOM}${RANDOM} src="data:font/woff2;base64,${RANDOM}"`,
  RANDOM.repeat(20),
  RANDOM.slice(0, 23),
  "AAAA,SAASA,EAAE,CAAC;AACA,IAAMC,GAAG,CAAC eyJ.eyJ. sk-short AKIA123 ghp_short",
  "password=[REDACTED:password] token: [REDACTED:token] a [REDACTED:high-entropy]",
];

Deno.test("scrubSecrets() replaces what is labelled, of known shape or random, and nothing around it", () => {
  for (const [text, expected] of REDACTED) {
    for (const [before, after] of [["", ""], ["\n", "\n"]] as const) {
      const scrubbed = scrubSecrets(before + text + after);
      assert.equal(scrubbed.text, before + expected + after);
      assert.equal(scrubbed.redacted, expected.split("[REDACTED:").length - 1);
    }
  }
});

Deno.test("scrubSecrets() leaves ordinary outputs alone", () => {
  for (const text of ORDINARY) assert.deepEqual(scrubSecrets(text), { text, redacted: 0 });
});

Deno.test("scrubSecrets() of its own result changes nothing", () => {
  const pool = [
    ...REDACTED.map(([text]) => text),
    ...ORDINARY,
    "=",
    ":",
    " ",
    "\n",
    '"',
    "'",
    "/",
    "-",
    "]",
    "[",
    "is ",
    "\\",
    "--",
    "+",
  ];
  let seed = 11;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let round = 0; round < 4_000; round++) {
    const text = Array.from({ length: 1 + random(6) }, () => {
      const part = pool[random(pool.length)]!;
      return random(3) === 0 ? part.slice(random(part.length), random(part.length) + 1) : part;
    }).join("");
    const once = scrubSecrets(text).text;
    assert.deepEqual(scrubSecrets(once), { text: once, redacted: 0 }, JSON.stringify(text));
  }
});

Deno.test("scrubSecrets() finds what only a replaced neighbour uncovers", () => {
  const text = `${RANDOM}authorization: Authorization: Bearer very-secret-token`;
  assert.equal(scrubSecrets(text).text, "[REDACTED:high-entropy]: Authorization: Bearer [REDACTED:authorization]");
});

Deno.test("scrubSecrets() finds a random key among random ones almost always", () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  let seed = 3;
  const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
  let missed = 0;
  for (let round = 0; round < 1_000; round++) {
    const key = Array.from({ length: 40 }, () => alphabet[random(64)]!).join("");
    if (scrubSecrets(`key ${key}`).text.includes(key)) missed++;
  }
  assert.ok(missed <= 20, `${missed} of 1000 missed`);
});

Deno.test("scrubSecrets() is linear in a hostile text", () => {
  const pieces = [
    ..."a1A =:\"'`\\/-._+&?<>@,;(\n",
    "api_key=",
    "api_key=\n",
    "token:",
    "token: ",
    'token="',
    'token=\\"',
    "token='\\",
    "token is ",
    "--token ",
    "<token>",
    "token: a",
    "token:a<",
    "password=a.",
    "password=1/",
    "secret=//",
    "pagetoken=",
    "authorization:",
    "authorization: bearer ",
    "bearer ",
    "cookie:",
    "cookie: a",
    "cookie: a=",
    "://",
    "://a:",
    "://a:b",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----a",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN ",
    "eyJ",
    "eyJaaaaaaaaa.",
    "eyJaaaaaaaaa/",
    "SG.",
    `SG.${"a".repeat(20)}`,
    "sk-",
    "ghp_",
    "xoxb-1",
    "AKIA",
    "data:image/png;base64,",
    "sha512-",
    `${RANDOM}/`,
    `${RANDOM}-abc-`,
    `${RANDOM} `,
    `abc/${RANDOM}`,
    RANDOM,
    HEX,
    "[REDACTED:token]",
    "aB1",
    "\u0000",
    "é",
    "😀",
  ];
  for (const piece of pieces) assertLinear(piece, scrubSecrets);
});
