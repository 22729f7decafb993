/** DNS messages: queries out, answers in (RFC 1035 4.1, RFC 6891 for EDNS0). Pure: no I/O.
 *
 *  Only what a stub resolver needs: A, AAAA, PTR and CNAME of class IN in the answer section, and
 *  the SOA of the authority section, whose TTL says how long a "no" holds. Records of other kinds
 *  are stepped over; the additional section is not read at all, so nothing in it can do harm. */

import { concat, DecodeError, Reader } from "./bytes.ts";
import { encodeName, readName } from "./dns_name.ts";
import { formatIp } from "./ip.ts";

/** What can be asked. */
export type QueryType = "A" | "AAAA" | "PTR";

/** Type numbers (RFC 1035 3.2.2, RFC 3596 2.1, RFC 6891 6.1.1). */
export const TYPE = { A: 1, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, OPT: 41 } as const;
const CLASS_IN = 1;

/** Response codes that mean something here (RFC 1035 4.1.1); all others count as a failure. */
export const RCODE = {
  ok: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
} as const;

/** The UDP size we offer (RFC 6891 6.2.5): what passes everywhere without fragments, because
 *  fragments can be forged by a sender who sees neither id nor port. */
export const EDNS_SIZE = 1232;

/** RFC 2181 8: a TTL has 31 bits; one with the top bit set counts as zero. */
const MAX_TTL = 0x7fffffff;

export interface Query {
  /** 16 random bits. */
  id: number;
  /** Text form, see dns_name.ts. */
  name: string;
  type: QueryType;
  edns: boolean;
}

/** One record of the answer section. `data` is an address, or a name in text form. */
export interface DnsRecord {
  name: string;
  type: QueryType | "CNAME";
  /** Seconds. */
  ttl: number;
  data: string;
}

export interface Message {
  id: number;
  /** QR: this is an answer. */
  response: boolean;
  /** TC: cut short, ask again by TCP. What follows the question was not read then. */
  truncated: boolean;
  rcode: number;
  /** Undefined when the message repeats no question, as some servers do with an error. */
  question: { name: string; type: number; class: number } | undefined;
  answers: DnsRecord[];
  /** Seconds a negative answer may be remembered (RFC 2308 5); undefined without a SOA. */
  negativeTtl: number | undefined;
}

/** A recursive query, with an EDNS0 OPT record when asked for (RFC 6891 6.1.2). */
export function encodeQuery(query: Query): Uint8Array<ArrayBuffer> {
  const extra = query.edns ? 1 : 0;
  const header = [query.id >> 8, query.id & 0xff, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, extra];
  const question = [0, TYPE[query.type], 0, CLASS_IN];
  const opt = [0, 0, TYPE.OPT, EDNS_SIZE >> 8, EDNS_SIZE & 0xff, 0, 0, 0, 0, 0, 0];
  return concat([
    Uint8Array.from(header),
    encodeName(query.name),
    Uint8Array.from(query.edns ? [...question, ...opt] : question),
  ]);
}

/** Decodes an answer; every record is checked against the message's end. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes, "dns");
  const id = reader.u16("id");
  const flags = reader.u16("flags");
  const questions = reader.u16("question count");
  const answers = reader.u16("answer count");
  const authorities = reader.u16("authority count");
  reader.u16("additional count");
  // RFC 9619: no query has more than one question, so no answer may.
  if (questions > 1) throw new DecodeError("dns: question count: more than one at byte 4");
  const message: Message = {
    id,
    response: (flags & 0x8000) !== 0,
    truncated: (flags & 0x0200) !== 0,
    rcode: flags & 0x0f,
    question: questions === 0 ? undefined : {
      name: readName(reader, "question name"),
      type: reader.u16("question type"),
      class: reader.u16("question class"),
    },
    answers: [],
    negativeTtl: undefined,
  };
  if ((flags & 0x7800) !== 0) throw new DecodeError("dns: flags: opcode not QUERY at byte 2");
  // RFC 2181 9: what a truncated message holds is to be ignored; its last record may be cut.
  if (message.truncated) return message;
  for (let i = 0; i < answers; i++) {
    const record = readRecord(reader);
    if (record !== undefined && record.type !== "SOA") message.answers.push(record);
  }
  for (let i = 0; i < authorities; i++) {
    const record = readRecord(reader);
    if (record?.type === "SOA") message.negativeTtl ??= record.ttl;
  }
  return message;
}

/** The next record, or undefined for a kind that is not used here. */
function readRecord(
  reader: Reader,
): DnsRecord | { type: "SOA"; ttl: number } | undefined {
  const name = readName(reader, "record name");
  const type = reader.u16("record type");
  const inClass = reader.u16("record class") === CLASS_IN;
  const seconds = reader.u32("record ttl");
  const ttl = seconds > MAX_TTL ? 0 : seconds;
  const length = reader.u16("record length");
  const end = reader.at + length;
  if (length > reader.left) {
    throw new DecodeError(`dns: record data: runs past the end at byte ${reader.at}`);
  }
  const known = inClass ? readData(reader, type, length, ttl) : undefined;
  if (known === undefined) {
    reader.at = end;
    return undefined;
  }
  if (reader.at !== end) {
    throw new DecodeError(`dns: record data: length does not fit its type at byte ${end}`);
  }
  return known.type === "SOA" ? known : { name, ...known };
}

/** Reads the data of a known type; leaves `reader` behind what the type itself takes. */
function readData(
  reader: Reader,
  type: number,
  length: number,
  ttl: number,
): Omit<DnsRecord, "name"> | { type: "SOA"; ttl: number } | undefined {
  switch (type) {
    case TYPE.A:
      if (length !== 4) throw new DecodeError(`dns: A data: not 4 bytes at byte ${reader.at}`);
      return { type: "A", ttl, data: formatIp(reader.take(4, "A data").slice()) };
    case TYPE.AAAA:
      if (length !== 16) throw new DecodeError(`dns: AAAA data: not 16 bytes at byte ${reader.at}`);
      return { type: "AAAA", ttl, data: formatIp(reader.take(16, "AAAA data").slice()) };
    case TYPE.CNAME:
      return { type: "CNAME", ttl, data: readName(reader, "CNAME data") };
    case TYPE.PTR:
      return { type: "PTR", ttl, data: readName(reader, "PTR data") };
    case TYPE.SOA: {
      readName(reader, "SOA mname");
      readName(reader, "SOA rname");
      reader.take(16, "SOA numbers");
      // RFC 2308 5: the lesser of the record's own TTL and its MINIMUM field.
      const minimum = reader.u32("SOA minimum");
      return { type: "SOA", ttl: Math.min(ttl, minimum > MAX_TTL ? 0 : minimum) };
    }
    default:
      return undefined;
  }
}

/** Why `message` is no answer to `query`, or undefined when it is one. A mismatch is what a forger
 *  who cannot see the query sends (RFC 5452 9.1): such a message is dropped, not believed. */
export function answerMismatch(query: Query, message: Message): string | undefined {
  if (!message.response) return "not a response";
  if (message.id !== query.id) return "wrong id";
  const asked = message.question;
  if (asked === undefined) {
    // RFC 6891 7: a server that cannot read the query may send back the bare header.
    return message.rcode === RCODE.formErr || message.rcode === RCODE.notImp
      ? undefined
      : "no question";
  }
  if (asked.name !== query.name) return "wrong question name";
  if (asked.type !== TYPE[query.type]) return "wrong question type";
  if (asked.class !== CLASS_IN) return "wrong question class";
  return undefined;
}
