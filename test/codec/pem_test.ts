import assert from "node:assert/strict";
import { test } from "node:test";
import { DecodeError, fromLatin1 } from "../../src/codec/bytes.ts";
import { decodePem, encodePem } from "../../src/codec/pem.ts";

const decode = (text: string) => decodePem(fromLatin1(text));
const FIVE = "-----BEGIN X-----\nAQIDBAU=\n-----END X-----\n";

test("blocks come in order and the text around them is skipped", () => {
  const blocks = decode(`subject=x\n${FIVE}\n  more\n${FIVE.replaceAll("X", "RSA PRIVATE KEY")}`);
  assert.deepEqual(blocks.map(({ label }) => label), ["X", "RSA PRIVATE KEY"]);
  assert.deepEqual(blocks.map(({ bytes }) => [...bytes]), [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);
});

test("a file without a block is an empty list", () => {
  assert.deepEqual(decode(""), []);
  assert.deepEqual(decode("\0\xff binary"), []);
});

test("line ends of any kind, a byte order mark and trailing blanks are accepted", () => {
  for (
    const text of [
      FIVE.replaceAll("\n", "\r\n"),
      FIVE.replaceAll("\n", "\r"),
      `\xef\xbb\xbf${FIVE}`,
      FIVE.replaceAll("\n", " \t\n"),
      FIVE.trimEnd(),
      FIVE.replace("QID", "Q\nI D"),
    ]
  ) {
    assert.deepEqual(decode(text).map(({ bytes }) => [...bytes]), [[1, 2, 3, 4, 5]]);
  }
});

test("the headers of an encrypted key are read, continued lines too", () => {
  const [block] = decode(
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,\n 00FF\n\nAQ==\n-----END EC PRIVATE KEY-----\n",
  );
  assert.deepEqual([...block?.headers ?? []], [
    ["Proc-Type", "4,ENCRYPTED"],
    ["DEK-Info", "AES-256-CBC,00FF"],
  ]);
  assert.deepEqual([...block?.bytes ?? []], [1]);
});

test("what is encoded is 64 characters a line and decodes to the same bytes", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7 + length);
    const text = encodePem("CERTIFICATE", bytes);
    assert.ok(text.split("\n").every((line) => line.length <= 64));
    assert.equal(
      text.split("\n").slice(1, -2).join(""),
      btoa(String.fromCharCode(...bytes)),
    );
    assert.deepEqual(decode(text), [{ label: "CERTIFICATE", headers: new Map(), bytes }]);
  }
});

const REFUSED: readonly [claim: string, text: string, message: RegExp][] = [
  ["a block without an end", "-----BEGIN X-----\nAQ==\n", /X: no END line for line 1$/],
  [
    "a block that ends as another",
    "-----BEGIN X-----\nAQ==\n-----END Y-----\n",
    /other line than END at line 3$/,
  ],
  ["a block within a block", `-----BEGIN X-----\n${FIVE}`, /other line than END at line 2$/],
  [
    "a foreign character",
    "-----BEGIN X-----\nAQ*=\n-----END X-----\n",
    /not base64 at character 2$/,
  ],
  ["missing padding", "-----BEGIN X-----\nAQ\n-----END X-----\n", /base64 cut short$/],
  [
    "padding in the middle",
    "-----BEGIN X-----\nAQ==AQ==\n-----END X-----\n",
    /not base64 at character 2$/,
  ],
  ["padding alone", "-----BEGIN X-----\n====\n-----END X-----\n", /not base64 at character 0$/],
  ["stray bits", "-----BEGIN X-----\nAR==\n-----END X-----\n", /stray bits at the end$/],
  [
    "a header without a colon",
    "-----BEGIN X-----\nA: b\nc\n\nAQ==\n-----END X-----\n",
    /bad header at line 3$/,
  ],
  [
    "17 headers",
    `-----BEGIN X-----\n${
      Array.from({ length: 17 }, (_, i) => `H${i}: x\n`).join("")
    }\n-----END X-----\n`,
    /above 16 headers/,
  ],
  ["4,097 blocks", "-----BEGIN X-----\n-----END X-----\n".repeat(4097), /above 4096 blocks/],
];

for (const [claim, text, message] of REFUSED) {
  test(`the reader refuses ${claim}`, () => {
    assert.throws(() => decode(text), (error: unknown) => {
      assert.ok(error instanceof DecodeError);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a file above 4 MiB is refused", () => {
  assert.throws(() => decodePem(new Uint8Array((4 << 20) + 1)), DecodeError);
});

test("every truncation of a block is refused or empty", () => {
  for (let length = 0; length < FIVE.length - 1; length++) {
    const text = FIVE.slice(0, length);
    if (length < "-----BEGIN X-----".length) assert.deepEqual(decode(text), []);
    else assert.throws(() => decode(text), DecodeError);
  }
});
