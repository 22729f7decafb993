/** The certificates that `openssl_x509_test.ts` compares with openssl. Most are made by openssl from these
 *  arguments, and some are encoded here because openssl does not make them. */

import { TAG } from "../../src/codec/der.ts";
import { bitString, element, sequence, time } from "../../src/codec/der_write.ts";
import { alternativeNames, certificate, CN, cn, dn } from "../codec/x509/samples.ts";

export const P256 = "EC ec_paramgen_curve:P-256";
const P384 = "EC ec_paramgen_curve:P-384";
const RSA = "RSA rsa_keygen_bits:2048";

export interface Case {
  readonly claim: string;
  readonly key?: string;
  readonly subject?: string;
  readonly args?: readonly string[];
  readonly mask?: string;
  /** Made with `openssl ca`, the only command of openssl 3.0 that accepts dates. */
  readonly dates?: readonly [start: string, end: string];
}

const SANS =
  "subjectAltName=DNS:a.example,DNS:*.b.example,email:root@b.example,IP:192.0.2.7,IP:2001:db8::1,URI:https://c.example/";

export const CASES: readonly Case[] = [
  { claim: "EC P-256", key: P256 },
  { claim: "EC P-384 with SHA-384", key: P384, args: ["-sha384"] },
  { claim: "RSA with SHA-256", key: RSA },
  { claim: "RSA with SHA-1", key: RSA, args: ["-sha1"] },
  { claim: "RSA with SHA-512", key: RSA, args: ["-sha512"] },
  { claim: "RSA with PSS", key: RSA, args: ["-sigopt", "rsa_padding_mode:pss"] },
  { claim: "an RSA-PSS key", key: "RSA-PSS rsa_keygen_bits:2048" },
  { claim: "Ed25519", key: "ED25519" },
  { claim: "Ed448", key: "ED448" },
  { claim: "an empty subject", subject: "/" },
  {
    claim: "a full subject",
    subject: "/C=US/ST=New York/L=New York/O=Org/OU=Unit/CN=x/emailAddress=a@b.example",
  },
  {
    claim: "every component",
    subject:
      "/C=DE/ST=s/L=l/O=o/OU=u/CN=c/title=t/initials=i/GN=g/SN=s/description=d/UID=uid/emailAddress=a@b.example",
  },
  {
    claim: "attributes that are no component",
    subject:
      "/DC=example/DC=b/serialNumber=7/street=Road 1/postalCode=12345/businessCategory=x/CN=c",
  },
  { claim: "three common names", subject: "/CN=a/CN=b/CN=c" },
  {
    claim: "a multi-valued name",
    subject: "/C=US+O=Org/CN=x+UID=7+OU=u",
    args: ["-multivalue-rdn"],
  },
  { claim: "slashes and plus signs", subject: "/CN=a\\/b\\+c/O=d" },
  { claim: "backslashes and quotes", subject: "/CN=a\\\\b\"c'd/O=e;f,g=h<i>#j" },
  { claim: "blanks at the ends", subject: "/CN= a /O=  " },
  { claim: "a newline and other controls", subject: "/CN=a\nb\tc\rd\x1b[2J\x7f/O=x" },
  { claim: "a name that looks like a variable", subject: "/CN=a\nSSL_CLIENT_VERIFY=SUCCESS" },
  { claim: "UTF-8", subject: "/CN=Zürich 東京 😀/O=Ünï", args: ["-utf8"] },
  { claim: "T61String", subject: "/CN=Z\u00fcrich/O=o", args: ["-utf8"], mask: "MASK:0x4" },
  { claim: "BMPString", subject: "/CN=東京 Z/O=o", args: ["-utf8"], mask: "MASK:0x800" },
  { claim: "UniversalString", subject: "/CN=😀 Z/O=o", args: ["-utf8"], mask: "MASK:0x100" },
  { claim: "PrintableString", subject: "/CN=plain/O=o", mask: "default" },
  {
    claim: "a description of 10,000 characters",
    subject: `/CN=x/description=${"long ".repeat(2000)}`,
  },
  { claim: "a serial of 20 bytes", args: ["-set_serial", `0x7f${"ab".repeat(19)}`] },
  { claim: "a serial of 40 bytes", args: ["-set_serial", `0x${"cd".repeat(40)}`] },
  { claim: "the serial 0", args: ["-set_serial", "0"] },
  { claim: "a negative serial", args: ["-set_serial", "-5"] },
  { claim: "a large negative serial", args: ["-set_serial", `-0x80${"00".repeat(9)}`] },
  { claim: "an end after 2050", args: ["-days", "20000"] },
  { claim: "dates before 2000", dates: ["19500101000000Z", "19991231235959Z"] },
  { claim: "a day of one digit", dates: ["20140112105743Z", "20490201000009Z"] },
  { claim: "dates on both sides of 2050", dates: ["20491231235959Z", "20500101000000Z"] },
  { claim: "dates after 2050", dates: ["20520229000000Z", "99991231235959Z"] },
  { claim: "alternative names", args: ["-addext", SANS] },
  {
    claim: "an authority of path length 3",
    args: [
      "-addext",
      "basicConstraints=critical,CA:TRUE,pathlen:3",
      "-addext",
      "keyUsage=critical,keyCertSign,cRLSign",
    ],
  },
  {
    claim: "all usages",
    args: [
      "-addext",
      "basicConstraints=CA:FALSE",
      "-addext",
      "keyUsage=digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyAgreement,keyCertSign,cRLSign,encipherOnly,decipherOnly",
      "-addext",
      "extendedKeyUsage=serverAuth,clientAuth,codeSigning,emailProtection,timeStamping,OCSPSigning,anyExtendedKeyUsage,1.2.3.4",
    ],
  },
  { claim: "version 1", args: ["-x509v1"] },
];

const utf8 = (text: string) => new TextEncoder().encode(text);

export const HAND_MADE: readonly [claim: string, der: () => Uint8Array][] = [
  ["a NUL in a name", () => certificate({ subject: cn("good\0evil") })],
  [
    "bytes above ASCII in PrintableString",
    () => certificate({ subject: cn("a\xfcb", TAG.printable) }),
  ],
  ["an empty value", () => certificate({ subject: cn("") })],
  [
    "many attributes in one relative name",
    () =>
      certificate({
        subject: dn(Array.from({ length: 40 }, (_, i) => [CN, TAG.utf8, `n${i}`] as const)),
      }),
  ],
  [
    "a type without a name",
    () =>
      certificate({
        subject: dn([["1.2.3.4.5.6", TAG.utf8, "x"], [
          "2.25.329800735698586629295641978511506172918",
          TAG.utf8,
          "y",
        ]]),
      }),
  ],
  [
    "emoji in BMPString",
    () => certificate({ subject: cn(Uint8Array.of(0, 0x41, 0x26, 0x3a), TAG.bmp) }),
  ],
  [
    "an identifier in bits",
    () => certificate({ subject: dn([["2.5.4.45", TAG.bitString, Uint8Array.of(0, 0x41, 0x42)]]) }),
  ],
  [
    "three names and other issuer",
    () =>
      certificate({
        subject: cn("a"),
        issuer: dn([["2.5.4.6", TAG.printable, "US"]], [[CN, TAG.utf8, utf8("é")]]),
      }),
  ],
  [
    "dates of the year 10",
    () =>
      certificate({
        validity: sequence(element(TAG.generalizedTime, utf8("20100102030405Z")), time(0)),
      }),
  ],
  [
    "an alternative name that is empty",
    () => certificate({ extensions: [alternativeNames([0x82, ""])] }),
  ],
  [
    "a key of no known algorithm",
    () =>
      certificate({
        key: sequence(
          sequence(element(TAG.oid, Uint8Array.of(0x2a, 3, 4))),
          bitString(Uint8Array.of(1)),
        ),
      }),
  ],
];
