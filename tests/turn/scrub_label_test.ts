import assert from "node:assert/strict";
import { replaceHeaders, replaceLabelled } from "#/turn/scrub_label.ts";

const mark = (label: string) => `<${label}>`;

Deno.test("replaceLabelled() knows the spellings of each label and gives each one name", () => {
  const names: Readonly<Record<string, readonly string[]>> = {
    api_key: ["api_key", "apiKey", "APIKEY", "api-key", "X-Api-Key", "OPENAI_API_KEY"],
    access_key: ["accessKey", "aws_secret_access_key"],
    secret_key: ["secretKey", "SECRET_KEY"],
    private_key: ["privateKey", "private-key"],
    client_secret: ["clientSecret", "CLIENT_SECRET", "clientsecret"],
    access_token: ["accessToken", "access_token"],
    refresh_token: ["refresh-token"],
    auth_token: ["NPM_AUTH_TOKEN", "_authToken"],
    token: ["token", "GITHUB_TOKEN", "csrfToken"],
    password: ["password", "dbPassword", "PASSWORD"],
    passwd: ["passwd"],
    passphrase: ["passphrase"],
    secret: ["secret", "jwtSecret"],
    credential: ["credential"],
    credentials: ["credentials"],
  };
  for (const [name, spellings] of Object.entries(names)) {
    for (const spelling of spellings) {
      assert.equal(replaceLabelled(`${spelling}: "abcd1234"`, mark), `${spelling}: "<${name}>"`);
    }
  }
});

Deno.test("replaceLabelled() looks at the label only where it ends a name", () => {
  for (const name of ["passwords", "tokenizer", "secretary", "token_count", "api_key_env", "password-hash", "tokens"]) {
    assert.equal(replaceLabelled(`${name}: "abcd1234"`, mark), `${name}: "abcd1234"`);
  }
});

Deno.test("replaceLabelled() takes short values for words, and shorter ones of passwords for secrets", () => {
  assert.equal(
    replaceLabelled('token: "abcd123" password: "ab1" secret: "ab1"', mark),
    'token: "abcd123" password: "ab1" secret: "ab1"',
  );
  assert.equal(replaceLabelled('token: "abcd1234" password: "abc1"', mark), 'token: "<token>" password: "<password>"');
});

Deno.test("replaceLabelled() does not take the middle of a long line for the start of one", () => {
  const before = "x".repeat(80);
  assert.equal(replaceLabelled(`${before}\ntoken=abcdefgh`, mark), `${before}\ntoken=<token>`);
  assert.equal(replaceLabelled(`${before}token=abcdefgh`, mark), `${before}token=abcdefgh`);
});

Deno.test("replaceHeaders() needs a value that could be one", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["Authorization: Bearer abcdef", "Authorization: Bearer <authorization>"],
    ["Authorization: Bearer abcde", "Authorization: Bearer abcde"],
    ["Authorization: abcdefghijklmno1", "Authorization: <authorization>"],
    ["Authorization: abcdefghijklmn1", "Authorization: abcdefghijklmn1"],
    ["bearer abcdefghijklmno1", "bearer <authorization>"],
    ["bearer abcdefghijklmnop", "bearer abcdefghijklmnop"],
    ["Set-Cookie: a=1; Secure\r\nCookie: b=2; c=3\r\n", "Set-Cookie: <cookie>; Secure\r\nCookie: <cookie>\r\n"],
  ];
  for (const [text, expected] of cases) assert.equal(replaceHeaders(text, mark), expected);
});
