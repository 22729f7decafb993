/** Certificates and chains for which our result is compared with openssl's. */

import type { ListSpec, Spec } from "./openssl_verify.ts";

const KEY_IDS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
const CA = `basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n`;
const ROOT = `${CA}subjectKeyIdentifier=hash\n`;
const SUB = `${CA}${KEY_IDS}`;
const CLIENT =
  `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n`;
const LEAF = `${CLIENT}${KEY_IDS}`;
/** Without these lines openssl adds key identifiers. */
const BARE = "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n";
const RSA = "RSA rsa_keygen_bits:2048";
const EC = (curve: string) => `EC ec_paramgen_curve:${curve}`;

const PSS = "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32";

export const SPECS: Readonly<Record<string, Spec>> = {
  root: { ext: ROOT, days: 300 },
  leaf: { by: "root", ext: LEAF },
  other: { ext: ROOT },
  self: { ext: LEAF.replace("authorityKeyIdentifier=keyid\n", "") },
  plain: { by: "root", ext: "basicConstraints=CA:FALSE\n" },
  version1: { by: "root" },

  sub1: { by: "root", ext: SUB, days: 50 },
  sub2: { by: "sub1", ext: SUB },
  sub3: { by: "sub2", ext: SUB },
  leaf1: { by: "sub1", ext: LEAF, days: 200 },
  leaf2: { by: "sub2", ext: LEAF },
  leaf3: { by: "sub3", ext: LEAF },

  // The same name and key as sub1, issued by another root.
  crossed: { by: "other", cn: "sub1", keyOf: "sub1", ext: SUB },
  // The same name as root, another key.
  namesake: { cn: "root", ext: ROOT },
  bareNamesake: { cn: "bareRoot", ext: `${CA}${BARE}` },
  bareRoot: { ext: `${CA}${BARE}` },
  bareLeaf: { by: "bareRoot", ext: `${CLIENT}${BARE}` },
  impostor: { cn: "root", ext: `${CA}${BARE}` },
  byImpostor: { by: "impostor", ext: `${CLIENT}${BARE}` },
  // The root's new key, certified by its old one.
  rolled: { by: "root", cn: "root", ext: SUB },
  leafRolled: { by: "rolled", ext: LEAF },

  rsaRoot: { key: RSA, ext: ROOT },
  rsaLeaf: { by: "rsaRoot", key: RSA, ext: LEAF },
  rsa384: { by: "rsaRoot", ext: LEAF, args: "-sha384" },
  rsa512: { by: "rsaRoot", ext: LEAF, args: "-sha512" },
  rsa224: { by: "rsaRoot", ext: LEAF, args: "-sha224" },
  rsaSha1: { by: "rsaRoot", ext: LEAF, args: "-sha1" },
  rsaMd5: { by: "rsaRoot", ext: LEAF, args: "-md5" },
  rsaSha3: { by: "rsaRoot", ext: LEAF, args: "-sha3-256" },
  rsaPss: { by: "rsaRoot", ext: LEAF, args: PSS },
  rsaPss384: {
    by: "rsaRoot",
    ext: LEAF,
    args: "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20",
  },
  rsaPssSha1: { by: "rsaRoot", ext: LEAF, args: PSS.replace("-sha256", "-sha1") },
  rsaPssMixed: { by: "rsaRoot", ext: LEAF, args: `${PSS} -sigopt rsa_mgf1_md:sha512` },
  pssKeyRoot: { key: "RSA-PSS rsa_keygen_bits:2048", ext: ROOT },
  pssKeyLeaf: { by: "pssKeyRoot", ext: LEAF },
  rsa4096Root: { key: "RSA rsa_keygen_bits:4096", ext: ROOT },
  rsa4096: { by: "rsa4096Root", ext: LEAF },
  rsa4104Root: { key: "RSA rsa_keygen_bits:4104", ext: ROOT },
  rsa4104: { by: "rsa4104Root", ext: LEAF },
  weakLeaf: { by: "root", key: "RSA rsa_keygen_bits:1024", ext: LEAF },
  weakRoot: { key: "RSA rsa_keygen_bits:1024", ext: ROOT },
  byWeak: { by: "weakRoot", ext: LEAF },
  sha1Root: { key: RSA, ext: ROOT, args: "-sha1" },
  bySha1Root: { by: "sha1Root", ext: LEAF },
  p224Root: { key: EC("P-224"), ext: ROOT },
  p224: { by: "p224Root", ext: LEAF, args: "-sha256" },
  p384Root: { key: EC("P-384"), ext: ROOT },
  p384: { by: "p384Root", key: EC("P-384"), ext: LEAF, args: "-sha384" },
  p384short: { by: "p384Root", ext: LEAF, args: "-sha256" },
  p521Root: { key: EC("P-521"), ext: ROOT },
  p521: { by: "p521Root", key: EC("P-521"), ext: LEAF, args: "-sha512" },
  p521short: { by: "p521Root", ext: LEAF, args: "-sha256" },
  koblitzRoot: { key: EC("secp256k1"), ext: ROOT },
  koblitz: { by: "koblitzRoot", ext: LEAF },
  koblitzLeaf: { by: "root", key: EC("secp256k1"), ext: LEAF },
  spelledRoot: { key: `${EC("P-256")} ec_param_enc:explicit`, ext: ROOT },
  spelled: { by: "spelledRoot", ext: LEAF },
  edRoot: { key: "ED25519", ext: ROOT },
  ed: { by: "edRoot", key: "ED25519", ext: LEAF },
  ed448Root: { key: "ED448", ext: ROOT },
  ed448: { by: "ed448Root", ext: LEAF },
  broken: { by: "root", ext: LEAF, broken: true },
  brokenRsa: { by: "rsaRoot", ext: LEAF, broken: true },
  brokenSub: { by: "root", ext: SUB, broken: true },
  byBrokenSub: { by: "brokenSub", ext: LEAF },

  serverOnly: { by: "root", ext: LEAF.replace("clientAuth", "serverAuth") },
  both: { by: "root", ext: LEAF.replace("clientAuth", "serverAuth,clientAuth") },
  anyUsage: { by: "root", ext: LEAF.replace("clientAuth", "anyExtendedKeyUsage") },
  encipher: { by: "root", ext: LEAF.replace("digitalSignature", "keyEncipherment") },
  agree: { by: "root", ext: LEAF.replace("digitalSignature", "keyAgreement") },
  nsServer: { by: "root", ext: `${KEY_IDS}nsCertType=server\n` },
  nsClient: { by: "root", ext: `${KEY_IDS}nsCertType=critical,client\n` },
  serverSub: { by: "root", ext: `${SUB}extendedKeyUsage=serverAuth\n` },
  byServerSub: { by: "serverSub", ext: LEAF },
  clientSub: { by: "root", ext: `${SUB}extendedKeyUsage=clientAuth\n` },
  byClientSub: { by: "clientSub", ext: LEAF },
  serverRoot: { ext: `${ROOT}extendedKeyUsage=serverAuth\n` },
  byServerRoot: { by: "serverRoot", ext: LEAF },

  notCa: { by: "root", ext: LEAF },
  byNotCa: { by: "notCa", ext: LEAF },
  falseCa: { by: "root", ext: `basicConstraints=CA:FALSE\n${KEY_IDS}` },
  byFalseCa: { by: "falseCa", ext: LEAF },
  bareCa: { by: "root", ext: KEY_IDS },
  byBareCa: { by: "bareCa", ext: LEAF },
  usageCa: { by: "root", ext: `keyUsage=keyCertSign\n${KEY_IDS}` },
  byUsageCa: { by: "usageCa", ext: LEAF },
  noSignCa: { by: "root", ext: `basicConstraints=CA:TRUE\nkeyUsage=cRLSign\n${KEY_IDS}` },
  byNoSignCa: { by: "noSignCa", ext: LEAF },
  quietCa: { by: "root", ext: `basicConstraints=CA:TRUE\n${KEY_IDS}` },
  byQuietCa: { by: "quietCa", ext: LEAF },
  root1: {},
  byRoot1: { by: "root1", ext: CLIENT },
  sub1v1: { by: "root" },
  bySub1v1: { by: "sub1v1", ext: CLIENT },

  unboundRoot: { ext: "subjectKeyIdentifier=hash\n" },
  byUnboundRoot: { by: "unboundRoot", ext: LEAF },

  path0: { by: "root", ext: SUB.replace("CA:TRUE", "CA:TRUE,pathlen:0") },
  byPath0: { by: "path0", ext: LEAF },
  subPath0: { by: "path0", ext: SUB },
  bySubPath0: { by: "subPath0", ext: LEAF },
  selfPath0: { by: "path0", cn: "path0", ext: SUB },
  bySelfPath0: { by: "selfPath0", ext: LEAF },
  path1Root: { ext: ROOT.replace("CA:TRUE", "CA:TRUE,pathlen:1") },
  path1a: { by: "path1Root", ext: SUB },
  path1b: { by: "path1a", ext: SUB },
  byPath1a: { by: "path1a", ext: LEAF },
  byPath1b: { by: "path1b", ext: LEAF },

  critical: { by: "root", ext: `${LEAF}1.2.3.4=critical,DER:0500\n` },
  unknown: { by: "root", ext: `${LEAF}1.2.3.4=DER:0500\n` },
  criticalSub: { by: "root", ext: `${SUB}1.2.3.4=critical,DER:0500\n` },
  byCriticalSub: { by: "criticalSub", ext: LEAF },
  policies: { by: "root", ext: `${LEAF}certificatePolicies=critical,1.2.3.4\n` },
  policySub: { by: "root", ext: `${SUB}policyConstraints=critical,requireExplicitPolicy:0\n` },
  byPolicySub: { by: "policySub", ext: LEAF },
  namedSub: { by: "root", ext: `${SUB}nameConstraints=critical,permitted;DNS:x.example\n` },
  byNamedSub: { by: "namedSub", ext: `${LEAF}subjectAltName=DNS:a.x.example\n` },
  byNamedSubOut: { by: "namedSub", ext: `${LEAF}subjectAltName=DNS:y.example\n` },
  softNamedSub: { by: "root", ext: `${SUB}nameConstraints=permitted;DNS:x.example\n` },
  bySoftNamedSub: { by: "softNamedSub", ext: `${LEAF}subjectAltName=DNS:y.example\n` },
  names: {
    by: "root",
    ext: `${SUB}nameConstraints=critical,permitted;DNS:x.example,permitted;email:x.example,` +
      "permitted;IP:192.0.2.0/255.255.255.0,excluded;DNS:no.x.example,excluded;email:root@x.example\n",
  },
  inNames: {
    by: "names",
    ext: `${LEAF}subjectAltName=DNS:a.x.example,email:a@x.example,IP:192.0.2.9\n`,
  },
  outDns: { by: "names", ext: `${LEAF}subjectAltName=DNS:a.x.example,DNS:ax.example\n` },
  outEmail: { by: "names", ext: `${LEAF}subjectAltName=email:a@b.x.example\n` },
  outIp: { by: "names", ext: `${LEAF}subjectAltName=IP:192.0.3.9\n` },
  noDns: { by: "names", ext: `${LEAF}subjectAltName=DNS:a.no.x.example\n` },
  noEmail: { by: "names", ext: `${LEAF}subjectAltName=email:root@x.example\n` },
  outCommon: { by: "names", cn: "y.example", ext: LEAF },
  inCommon: { by: "names", cn: "y.x.example", ext: LEAF },
  wildNo: { by: "names", ext: `${LEAF}subjectAltName=DNS:*.x.example\n` },
  dirRoot: { ext: `${ROOT}nameConstraints=permitted;dirName:people\n[people]\nCN=ANN\n` },
  dirIn: { by: "dirRoot", cn: "ann", ext: LEAF },
  dirOut: { by: "dirRoot", cn: "bob", ext: LEAF },
  proxy: {
    by: "leaf",
    ext: "proxyCertInfo=critical,language:id-ppl-anyLanguage,pathlen:0\n",
  },

  noCrlRoot: { ext: ROOT.replace(",cRLSign", "") },
  byNoCrlRoot: { by: "noCrlRoot", ext: LEAF },
};

export interface Case {
  /** Completes "openssl and this program agree: …". */
  readonly claim: string;
  readonly leaf: string;
  readonly sent?: readonly string[];
  /** The trusted certificates. Default: root. */
  readonly trusted?: readonly string[];
  readonly lists?: readonly ListSpec[];
  /** VERIFYDEPTH. Default: 9. */
  readonly depth?: number;
  /** The time of verification, in days from now. Default: 0. */
  readonly day?: number;
  /** openssl's result: `OK` or its reason. */
  readonly says: string;
  /** Our result if it differs. The header of a module explains why. */
  readonly ours?: string;
  /** The result on Deno if its TLS library makes it differ. */
  readonly onDeno?: string;
}

const NO_ISSUER = "unable to get local issuer certificate";
const PURPOSE = "unsuitable certificate purpose";
const BAD = "certificate signature failure";
const NO_KEY = "unsupported public key algorithm";

export const CASES: readonly Case[] = [
  { claim: "a client of the root", leaf: "leaf", says: "OK" },
  { claim: "a client without key usages", leaf: "plain", says: "OK" },
  { claim: "a client of version 1", leaf: "version1", says: "OK" },
  { claim: "no authority at all", leaf: "leaf", trusted: [], says: NO_ISSUER },
  { claim: "the client's root unknown", leaf: "leaf", trusted: ["other"], says: NO_ISSUER },
  { claim: "self-signed", leaf: "self", says: "self-signed certificate" },
  { claim: "self-signed and trusted itself", leaf: "self", trusted: ["self"], says: "OK" },
  {
    claim: "a client that is trusted itself, its root not",
    leaf: "leaf",
    trusted: ["leaf"],
    says: NO_ISSUER,
  },
  {
    claim: "the client sends its root, which is not ours",
    leaf: "leaf",
    sent: ["root"],
    trusted: ["other"],
    says: "self-signed certificate in certificate chain",
  },
  { claim: "the client sends our root too", leaf: "leaf", sent: ["root"], says: "OK" },

  { claim: "one intermediate, sent", leaf: "leaf1", sent: ["sub1"], says: "OK" },
  { claim: "one intermediate, not sent", leaf: "leaf1", says: NO_ISSUER },
  { claim: "one intermediate, ours", leaf: "leaf1", trusted: ["sub1", "root"], says: "OK" },
  {
    claim: "only the intermediate is ours",
    leaf: "leaf1",
    trusted: ["sub1"],
    says: "unable to get issuer certificate",
  },
  {
    claim: "three intermediates in any order",
    leaf: "leaf3",
    sent: ["sub1", "sub3", "sub2"],
    says: "OK",
  },
  {
    claim: "three intermediates, useless ones between",
    leaf: "leaf3",
    sent: ["other", "sub1", "leaf", "sub2", "sub3"],
    says: "OK",
  },
  {
    claim: "the middle one of three is missing",
    leaf: "leaf3",
    sent: ["sub1", "sub3"],
    says: NO_ISSUER,
  },

  { claim: "depth 0, no intermediate", leaf: "leaf", depth: 0, says: "OK" },
  {
    claim: "depth 0, one intermediate",
    leaf: "leaf1",
    sent: ["sub1"],
    depth: 0,
    says: "certificate chain too long",
  },
  { claim: "depth 0, self-signed", leaf: "self", depth: 0, says: "self-signed certificate" },
  { claim: "depth 1, one intermediate", leaf: "leaf1", sent: ["sub1"], depth: 1, says: "OK" },
  {
    claim: "depth 1, two intermediates",
    leaf: "leaf2",
    sent: ["sub1", "sub2"],
    depth: 1,
    says: "certificate chain too long",
  },
  {
    claim: "depth 1, two intermediates that are ours",
    leaf: "leaf2",
    trusted: ["root", "sub1", "sub2"],
    depth: 1,
    says: "certificate chain too long",
  },
  {
    claim: "depth 2, two intermediates",
    leaf: "leaf2",
    sent: ["sub1", "sub2"],
    depth: 2,
    says: "OK",
  },
  {
    claim: "depth 0, an unknown root sent",
    leaf: "leaf",
    sent: ["root"],
    trusted: ["other"],
    depth: 0,
    says: "certificate chain too long",
  },
  {
    claim: "depth 1, an unknown root sent",
    leaf: "leaf",
    sent: ["root"],
    trusted: ["other"],
    depth: 1,
    says: "self-signed certificate in certificate chain",
  },

  {
    claim: "cross-signed, the way to our root first",
    leaf: "leaf1",
    sent: ["sub1", "crossed"],
    says: "OK",
  },
  {
    claim: "cross-signed, the way to our root last",
    leaf: "leaf1",
    sent: ["crossed", "sub1"],
    says: NO_ISSUER,
    ours: "OK",
  },
  {
    claim: "cross-signed, the other root is ours",
    leaf: "leaf1",
    sent: ["crossed", "sub1"],
    trusted: ["other"],
    says: "OK",
  },
  {
    claim: "two roots of one name, told apart by key identifiers",
    leaf: "leaf",
    trusted: ["namesake", "root"],
    says: "OK",
  },
  {
    claim: "two roots of one name without identifiers",
    leaf: "bareLeaf",
    trusted: ["bareNamesake", "bareRoot"],
    says: BAD,
    ours: "OK",
  },
  {
    claim: "two roots of one name without identifiers, the other way",
    leaf: "bareLeaf",
    trusted: ["bareRoot", "bareNamesake"],
    says: "OK",
  },
  {
    claim: "an impostor of our root's name",
    leaf: "byImpostor",
    trusted: ["root"],
    sent: ["impostor"],
    says: BAD,
  },
  { claim: "a root that has changed its key", leaf: "leafRolled", sent: ["rolled"], says: "OK" },

  { claim: "expired client", leaf: "leaf", day: 150, says: "certificate has expired" },
  {
    claim: "expired intermediate",
    leaf: "leaf1",
    sent: ["sub1"],
    day: 75,
    says: "certificate has expired",
  },
  { claim: "expired root", leaf: "leaf", day: 400, says: "certificate has expired" },
  { claim: "the last day", leaf: "leaf", day: 99.9, says: "OK" },
  { claim: "not yet valid", leaf: "leaf", day: -1, says: "certificate is not yet valid" },

  { claim: "RSA with SHA-256", leaf: "rsaLeaf", trusted: ["rsaRoot"], says: "OK" },
  { claim: "RSA with SHA-384", leaf: "rsa384", trusted: ["rsaRoot"], says: "OK" },
  { claim: "RSA with SHA-512", leaf: "rsa512", trusted: ["rsaRoot"], says: "OK" },
  { claim: "RSA with SHA-224", leaf: "rsa224", trusted: ["rsaRoot"], says: "OK" },
  {
    claim: "RSA with SHA-1",
    leaf: "rsaSha1",
    trusted: ["rsaRoot"],
    says: "CA signature digest algorithm too weak",
  },
  {
    claim: "RSA with MD5",
    leaf: "rsaMd5",
    trusted: ["rsaRoot"],
    says: "CA signature digest algorithm too weak",
  },
  {
    claim: "RSA with SHA3-256",
    leaf: "rsaSha3",
    trusted: ["rsaRoot"],
    says: "OK",
    ours: "unsupported signature algorithm",
  },
  { claim: "RSA-PSS with SHA-256", leaf: "rsaPss", trusted: ["rsaRoot"], says: "OK" },
  {
    claim: "RSA-PSS with SHA-384 and a short salt",
    leaf: "rsaPss384",
    trusted: ["rsaRoot"],
    says: "OK",
  },
  {
    claim: "RSA-PSS with SHA-1",
    leaf: "rsaPssSha1",
    trusted: ["rsaRoot"],
    says: "CA signature digest algorithm too weak",
  },
  {
    claim: "RSA-PSS with two hashes",
    leaf: "rsaPssMixed",
    trusted: ["rsaRoot"],
    says: "OK",
    ours: "unsupported signature algorithm",
  },
  {
    claim: "a root with a key for RSA-PSS alone",
    leaf: "pssKeyLeaf",
    trusted: ["pssKeyRoot"],
    says: "OK",
    ours: NO_KEY,
  },
  { claim: "a root with RSA of 4096 bits", leaf: "rsa4096", trusted: ["rsa4096Root"], says: "OK" },
  {
    claim: "a root with RSA of 4104 bits",
    leaf: "rsa4104",
    trusted: ["rsa4104Root"],
    says: "OK",
    onDeno: NO_KEY,
  },
  {
    claim: "a client with RSA of 1024 bits",
    leaf: "weakLeaf",
    says: "EE certificate key too weak",
  },
  {
    claim: "a root with RSA of 1024 bits",
    leaf: "byWeak",
    trusted: ["weakRoot"],
    says: "CA certificate key too weak",
  },
  {
    claim: "a root whose own signature is SHA-1",
    leaf: "bySha1Root",
    trusted: ["sha1Root"],
    says: "OK",
  },
  { claim: "P-224", leaf: "p224", trusted: ["p224Root"], says: "OK" },
  { claim: "P-384 with SHA-384", leaf: "p384", trusted: ["p384Root"], says: "OK" },
  { claim: "P-384 with SHA-256", leaf: "p384short", trusted: ["p384Root"], says: "OK" },
  { claim: "P-521 with SHA-512", leaf: "p521", trusted: ["p521Root"], says: "OK" },
  {
    claim: "P-521 with SHA-256",
    leaf: "p521short",
    trusted: ["p521Root"],
    says: "OK",
    onDeno: "unsupported signature algorithm",
  },
  {
    claim: "a root with secp256k1",
    leaf: "koblitz",
    trusted: ["koblitzRoot"],
    says: "OK",
    ours: NO_KEY,
  },
  { claim: "a client with secp256k1", leaf: "koblitzLeaf", says: "OK", ours: NO_KEY },
  {
    claim: "a root with curve parameters spelled out",
    leaf: "spelled",
    trusted: ["spelledRoot"],
    says: "Certificate public key has explicit ECC parameters",
    ours: NO_KEY,
  },
  { claim: "Ed25519", leaf: "ed", trusted: ["edRoot"], says: "OK" },
  { claim: "Ed448", leaf: "ed448", trusted: ["ed448Root"], says: "OK", ours: NO_KEY },
  { claim: "a broken signature", leaf: "broken", says: BAD },
  { claim: "a broken RSA signature", leaf: "brokenRsa", trusted: ["rsaRoot"], says: BAD },
  {
    claim: "a broken signature of the intermediate",
    leaf: "byBrokenSub",
    sent: ["brokenSub"],
    says: BAD,
  },

  { claim: "for servers only", leaf: "serverOnly", says: PURPOSE },
  { claim: "for servers and clients", leaf: "both", says: "OK" },
  { claim: "for any usage", leaf: "anyUsage", says: PURPOSE },
  { claim: "a key for encipherment", leaf: "encipher", says: PURPOSE },
  { claim: "a key for agreement", leaf: "agree", says: "OK", ours: PURPOSE },
  { claim: "Netscape's type is server", leaf: "nsServer", says: PURPOSE },
  { claim: "Netscape's type is client, critical", leaf: "nsClient", says: "OK" },
  {
    claim: "an intermediate for servers only",
    leaf: "byServerSub",
    sent: ["serverSub"],
    says: PURPOSE,
  },
  { claim: "an intermediate for clients", leaf: "byClientSub", sent: ["clientSub"], says: "OK" },
  {
    claim: "a root for servers only",
    leaf: "byServerRoot",
    trusted: ["serverRoot"],
    says: PURPOSE,
  },

  { claim: "issued by a client", leaf: "byNotCa", sent: ["notCa"], says: "invalid CA certificate" },
  {
    claim: "issued by one that is no authority",
    leaf: "byFalseCa",
    sent: ["falseCa"],
    says: "invalid CA certificate",
  },
  {
    claim: "issued by one without constraints",
    leaf: "byBareCa",
    sent: ["bareCa"],
    says: "invalid CA certificate",
  },
  {
    claim: "issued by one with a key usage alone",
    leaf: "byUsageCa",
    sent: ["usageCa"],
    says: "invalid CA certificate",
  },
  {
    claim: "issued by one that may not sign",
    leaf: "byNoSignCa",
    sent: ["noSignCa"],
    says: "invalid CA certificate",
  },
  { claim: "issued by one without key usage", leaf: "byQuietCa", sent: ["quietCa"], says: "OK" },
  { claim: "a root of version 1", leaf: "byRoot1", trusted: ["root1"], says: "OK" },
  {
    claim: "an intermediate of version 1",
    leaf: "bySub1v1",
    sent: ["sub1v1"],
    says: "invalid CA certificate",
  },

  {
    claim: "an intermediate of version 1 that is ours",
    leaf: "bySub1v1",
    trusted: ["root", "sub1v1"],
    says: "invalid CA certificate",
  },
  {
    claim: "a root of version 3 without constraints",
    leaf: "byUnboundRoot",
    trusted: ["unboundRoot"],
    says: "invalid CA certificate",
  },

  { claim: "path length 0, a client below", leaf: "byPath0", sent: ["path0"], says: "OK" },
  {
    claim: "path length 0, an authority below",
    leaf: "bySubPath0",
    sent: ["path0", "subPath0"],
    says: "path length constraint exceeded",
  },
  {
    claim: "path length 0, the authority's new key below",
    leaf: "bySelfPath0",
    sent: ["path0", "selfPath0"],
    says: "OK",
  },
  {
    claim: "path length 1 of the root, one below",
    leaf: "byPath1a",
    sent: ["path1a"],
    trusted: ["path1Root"],
    says: "OK",
  },
  {
    claim: "path length 1 of the root, two below",
    leaf: "byPath1b",
    sent: ["path1a", "path1b"],
    trusted: ["path1Root"],
    says: "path length constraint exceeded",
  },

  {
    claim: "a critical extension nobody knows",
    leaf: "critical",
    says: "unhandled critical extension",
  },
  { claim: "an extension nobody knows", leaf: "unknown", says: "OK" },
  {
    claim: "an intermediate with a critical extension nobody knows",
    leaf: "byCriticalSub",
    sent: ["criticalSub"],
    says: "unhandled critical extension",
  },
  { claim: "critical policies", leaf: "policies", says: "OK" },
  {
    claim: "an explicit policy required",
    leaf: "byPolicySub",
    sent: ["policySub"],
    says: "OK",
    ours: "unhandled critical extension",
  },
  {
    claim: "within name constraints",
    leaf: "byNamedSub",
    sent: ["namedSub"],
    says: "OK",
  },
  {
    claim: "outside of name constraints",
    leaf: "byNamedSubOut",
    sent: ["namedSub"],
    says: "permitted subtree violation",
  },
  {
    claim: "outside of name constraints that are not critical",
    leaf: "bySoftNamedSub",
    sent: ["softNamedSub"],
    says: "permitted subtree violation",
  },
  { claim: "within constraints of three kinds", leaf: "inNames", sent: ["names"], says: "OK" },
  ...["outDns", "outEmail", "outIp", "outCommon"].map((leaf) => ({
    claim: `outside of constraints: ${leaf}`,
    leaf,
    sent: ["names"],
    says: "permitted subtree violation",
  })),
  ...["noDns", "noEmail"].map((leaf) => ({
    claim: `excluded by constraints: ${leaf}`,
    leaf,
    sent: ["names"],
    says: "excluded subtree violation",
  })),
  { claim: "a common name within constraints", leaf: "inCommon", sent: ["names"], says: "OK" },
  {
    claim: "a wildcard that an excluded name is one of",
    leaf: "wildNo",
    sent: ["names"],
    says: "OK",
    ours: "excluded subtree violation",
  },
  {
    claim: "a subject within the root's constraints",
    leaf: "dirIn",
    trusted: ["dirRoot"],
    says: "OK",
  },
  {
    claim: "a subject outside of the root's constraints",
    leaf: "dirOut",
    trusted: ["dirRoot"],
    says: "permitted subtree violation",
  },
  {
    claim: "a proxy certificate",
    leaf: "proxy",
    sent: ["leaf"],
    says: "proxy certificates not allowed, please set the appropriate flag",
    ours: "unhandled critical extension",
  },

  {
    claim: "a list, not on it",
    leaf: "leaf",
    lists: [{ by: "root", revoked: ["plain"] }],
    says: "OK",
  },
  {
    claim: "revoked",
    leaf: "leaf",
    lists: [{ by: "root", revoked: ["plain", "leaf"] }],
    says: "certificate revoked",
  },
  {
    claim: "a list of another authority only",
    leaf: "leaf",
    lists: [{ by: "other" }],
    says: "unable to get certificate CRL",
  },
  {
    claim: "a list that has expired",
    leaf: "leaf",
    lists: [{ by: "root", days: 5 }],
    day: 10,
    says: "CRL has expired",
  },
  {
    claim: "revoked by a list that has expired",
    leaf: "leaf",
    lists: [{ by: "root", revoked: ["leaf"], days: 5 }],
    day: 10,
    says: "CRL has expired",
    ours: "certificate revoked",
  },
  {
    claim: "an expired list and a good one",
    leaf: "leaf",
    lists: [{ by: "root", days: 5 }, { by: "root" }],
    day: 10,
    says: "OK",
  },
  {
    claim: "a list by somebody else in the root's name",
    leaf: "leaf",
    lists: [{ by: "root", keyOf: "other" }],
    says: "CRL signature failure",
  },
  {
    claim: "a list by one who may not make lists",
    leaf: "byNoCrlRoot",
    trusted: ["noCrlRoot"],
    lists: [{ by: "noCrlRoot" }],
    says: "key usage does not include CRL signing",
  },
  {
    claim: "the root is on its own list",
    leaf: "leaf",
    lists: [{ by: "root", revoked: ["root"] }],
    says: "certificate revoked",
  },
  {
    claim: "self-signed, trusted, no list of its own",
    leaf: "self",
    trusted: ["self", "root"],
    lists: [{ by: "root" }],
    says: "unable to get certificate CRL",
  },
  {
    claim: "lists for the whole chain",
    leaf: "leaf1",
    sent: ["sub1"],
    lists: [{ by: "root" }, { by: "sub1" }],
    says: "OK",
  },
  {
    claim: "no list of the intermediate",
    leaf: "leaf1",
    sent: ["sub1"],
    lists: [{ by: "root" }],
    says: "unable to get certificate CRL",
  },
  {
    claim: "no list of the root",
    leaf: "leaf1",
    sent: ["sub1"],
    lists: [{ by: "sub1" }],
    says: "unable to get certificate CRL",
  },
  {
    claim: "the intermediate is revoked",
    leaf: "leaf1",
    sent: ["sub1"],
    lists: [{ by: "root", revoked: ["sub1"] }, { by: "sub1" }],
    says: "certificate revoked",
  },
  {
    claim: "the client is revoked by its intermediate",
    leaf: "leaf1",
    sent: ["sub1"],
    lists: [{ by: "root" }, { by: "sub1", revoked: ["leaf1"] }],
    says: "certificate revoked",
  },
  {
    claim: "a list with a number and a key identifier",
    leaf: "leaf",
    lists: [{ by: "root", revoked: ["leaf"], ext: "authorityKeyIdentifier=keyid" }],
    says: "certificate revoked",
  },
];
