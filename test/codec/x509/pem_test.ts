import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { DecodeError, fromLatin1 } from "../../../src/codec/bytes.ts";
import { decodePem, encodePem } from "../../../src/codec/x509/pem.ts";

const decode = (text: string) => decodePem(fromLatin1(text));
const FIVE = "-----BEGIN X-----\nAQIDBAU=\n-----END X-----\n";

test("blocks are returned in order, and the text around them is skipped", () => {
  const blocks = decode(`subject=x\n${FIVE}\n  more\n${FIVE.replaceAll("X", "RSA PRIVATE KEY")}`);
  assertEquals(blocks.map(({ label }) => label), ["X", "RSA PRIVATE KEY"]);
  assertEquals(blocks.map(({ bytes }) => [...bytes]), [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]);
});

test("a file without a block is an empty list", () => {
  assertEquals(decode(""), []);
  assertEquals(decode("\0\xff binary"), []);
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
    assertEquals(decode(text).map(({ bytes }) => [...bytes]), [[1, 2, 3, 4, 5]]);
  }
});

test("the headers of an encrypted key are read, continued lines too", () => {
  const [block] = decode(
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,\n 00FF\n\nAQ==\n-----END EC PRIVATE KEY-----\n",
  );
  assertEquals([...block?.headers ?? []], [
    ["Proc-Type", "4,ENCRYPTED"],
    ["DEK-Info", "AES-256-CBC,00FF"],
  ]);
  assertEquals([...block?.bytes ?? []], [1]);
});

test("encoded text has 64 characters per line and decodes to the same bytes", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 7 + length);
    const text = encodePem("CERTIFICATE", bytes);
    assert(text.split("\n").every((line) => line.length <= 64));
    assertStrictEquals(
      text.split("\n").slice(1, -2).join(""),
      btoa(String.fromCharCode(...bytes)),
    );
    assertEquals(decode(text), [{ label: "CERTIFICATE", headers: new Map(), bytes }]);
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

const BEGIN = "-----BEGIN X509 CRL-----";
const END = "-----END X509 CRL-----";
const CRL = `${BEGIN}\nAQIDBAU=\n${END}\n`;
const wide = (text: string) => text.replace(/./gs, "$&\0");
const DAMAGED: readonly [claim: string, line: string][] = [
  ["a blank in front", ` ${BEGIN}`],
  ["a tab in front", `\t${BEGIN}`],
  ["a NUL in front", `\0${BEGIN}`],
  ["a NUL within", BEGIN.replace("GIN", "G\0IN")],
  ["a hard blank in front", `\xc2\xa0${BEGIN}`],
  ["a mark and a blank in front", `\xef\xbb\xbf ${BEGIN}`],
  ["text in front", `junk${BEGIN}`],
  ["a form feed in front", `\f${BEGIN}`],
  ["four dashes", BEGIN.slice(1)],
  ["four dashes at the end", BEGIN.slice(0, -1)],
  ["six dashes", `-${BEGIN}`],
  ["two dashes", "--BEGIN X509 CRL--"],
  ["no dashes", "BEGIN X509 CRL"],
  ["an editor's dashes", "\xe2\x80\x94BEGIN X509 CRL\xe2\x80\x94"],
  ["small letters", BEGIN.toLowerCase()],
  ["text behind", `${BEGIN} junk`],
  ["a comment behind", `${BEGIN} # of June`],
  ["two bytes a character", wide(BEGIN)],
];
for (const [claim, begin] of DAMAGED) {
  test(`a BEGIN line with ${claim} is an error and names its line, as does such an END line`, () => {
    assertStrictEquals(
      assertThrows(() => decode(`${FIVE}${begin}\nAQIDBAU=\n${END}\n`), DecodeError).message,
      "pem: damaged BEGIN or END at line 4",
    );
    // Also without the END line, which may be damaged, too.
    assertStrictEquals(
      assertThrows(() => decode(`${begin}\n`), Error).message,
      "pem: damaged BEGIN or END at line 1",
    );
    const end = begin.replace("BEGIN", "END").replace("begin", "end");
    assertThrows(() => decode(`${BEGIN}\nAQIDBAU=\n${end}\n${FIVE}`), DecodeError);
  });
}

test("a block without its BEGIN line is an error", () => {
  assertThrows(() => decode(`${FIVE}AQIDBAU=\n${END}\n`), Error, /damaged BEGIN or END at line 5$/);
});

test("UTF-16 files are an error, in both byte orders", () => {
  for (const text of [`\xff\xfe${wide(CRL)}`, `\xfe\xff\0${wide(CRL).slice(0, -1)}`]) {
    assertThrows(() => decode(text), Error, /damaged BEGIN or END at line 1$/);
  }
});

test("a byte order mark is skipped wherever a block may begin", () => {
  const mark = "\xef\xbb\xbf";
  const blocks = decode(`${mark}${FIVE}${mark}${mark}${CRL}${mark}text\n${CRL}`);
  assertEquals(blocks.map(({ label }) => label), ["X", "X509 CRL", "X509 CRL"]);
});

test("text that only mentions BEGIN and END is skipped", () => {
  const text = [
    "Subject: CN = front-end.example, O = Legend Certificate",
    "#-----BEGIN CERTIFICATE-----",
    " # -----END CERTIFICATE-----",
    "Begin and end: see the manual of openssl",
    "THE BEGINNING",
    "====== END OF LIST ======",
    "    X509v3 Subject Key Identifier:",
  ].join("\n");
  assertStrictEquals(decode(`${text}\n${FIVE}${text}\n`).length, 1);
});

for (const [claim, text, message] of REFUSED) {
  test(`the reader refuses ${claim}`, () => {
    assertThrows(() => decode(text), DecodeError, message);
  });
}

test("a file above 4 MiB is refused", () => {
  assertThrows(() => decodePem(new Uint8Array((4 << 20) + 1)), DecodeError);
});

test("every truncation of a block is refused or empty", () => {
  for (let length = 0; length < FIVE.length - 1; length++) {
    const text = FIVE.slice(0, length);
    if (length < "-----BEGIN".length) assertEquals(decode(text), []);
    else assertThrows(() => decode(text), DecodeError);
  }
});
