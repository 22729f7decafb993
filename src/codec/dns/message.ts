/** Encodes DNS queries and decodes answers (RFC 1035 4.1, RFC 6891 for EDNS0). Pure: no I/O.
 *
 *  The decoder reads only what a stub resolver uses: in the answer section the records of class IN
 *  that have the type asked for or CNAME, and in the authority section the SOA, whose TTL limits
 *  how long a negative answer is cached. Other records are skipped without decoding their names.
 *  The additional section is not read.
 *
 *  The owner of a zone controls the content of an answer, so the work per answer is limited: in
 *  bytes (MAX_DNS_MESSAGE), in records kept (MAX_KEPT), and in octets of names (MAX_NAME_WORK). */

import { concat, DecodeError, Reader } from "../bytes.ts";
import { encodeName, Names, skipName } from "./name.ts";
import { formatIp } from "../ip.ts";

/** The record types that can be asked for. */
export type DnsQueryType = "A" | "AAAA" | "PTR";

/** Type numbers (RFC 1035 3.2.2, RFC 3596 2.1, RFC 6891 6.1.1). */
export const DNS_TYPE = { A: 1, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, OPT: 41 } as const;
const CLASS_IN = 1;

/** Response codes (RFC 1035 4.1.1). All but `ok` and `nxDomain` count as a failure, and so do codes
 *  that are not listed. */
export const RCODE = {
  ok: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
} as const;

/** The UDP size that a query offers (RFC 6891 6.2.5). It passes everywhere without
 *  fragmentation: an attacker who sees neither id nor port can forge fragments. */
export const EDNS_SIZE = 1232;

/** Bytes of the largest message that is read: 1,000 addresses, or 500 host names. */
export const MAX_DNS_MESSAGE = 16_384;

/** Records kept of each type; further ones are skipped. Only the first name of an address is used,
 *  and at most 16 CNAMEs are followed. */
const MAX_KEPT = { A: 256, AAAA: 256, PTR: 16, CNAME: 16 } as const;

/** RFC 2181 8: a TTL has 31 bits; one with the top bit set counts as zero. */
const MAX_TTL = 0x7fffffff;

/** The content of a query. */
export interface DnsQuery {
  /** 16 random bits. */
  id: number;
  /** Text form, see name.ts. */
  name: string;
  /** The record type asked for. */
  type: DnsQueryType;
  /** True: with an OPT record. */
  edns: boolean;
}

/** One record of the answer section. */
export interface DnsRecord {
  /** The owner name, in text form. */
  name: string;
  /** Records of other types are not kept. */
  type: DnsQueryType | "CNAME";
  /** Seconds. */
  ttl: number;
  /** An address, or a name in text form. */
  data: string;
}

/** The header and the question of a message. */
export interface DnsHead {
  /** The id of the query. */
  id: number;
  /** QR: this is an answer. */
  response: boolean;
  /** TC: the message is truncated, ask again by TCP. What follows the question is not read. */
  truncated: boolean;
  /** The response code (RFC 1035 4.1.1); 0: no error. */
  rcode: number;
  /** Undefined if the message has no question: an error may be a bare header. */
  question: { name: string; type: number; class: number } | undefined;
}

/** The decoded parts of a message. */
export interface DnsMessage extends DnsHead {
  /** In the order of the message. */
  answers: DnsRecord[];
  /** Seconds for which a negative answer may be cached (RFC 2308 5); undefined without a SOA. */
  negativeTtl: number | undefined;
}

/** Encodes a recursive query, with an EDNS0 OPT record if `edns` is set (RFC 6891 6.1.2). */
export function encodeDnsQuery(query: DnsQuery): Uint8Array<ArrayBuffer> {
  const extra = query.edns ? 1 : 0;
  const header = [query.id >> 8, query.id & 0xff, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, extra];
  const question = [0, DNS_TYPE[query.type], 0, CLASS_IN];
  const opt = [0, 0, DNS_TYPE.OPT, EDNS_SIZE >> 8, EDNS_SIZE & 0xff, 0, 0, 0, 0, 0, 0];
  return concat([
    Uint8Array.from(header),
    encodeName(query.name),
    Uint8Array.from(query.edns ? [...question, ...opt] : question),
  ]);
}

/** Decodes an answer. Keeps records of type `wanted` and CNAMEs; without `wanted`, records of all
 *  types that can be asked for. Throws `DecodeError`. */
export function decodeDnsMessage(bytes: Uint8Array, wanted?: DnsQueryType): DnsMessage {
  return new MessageReader(bytes).message(wanted);
}

/** Decodes the answer to `query`, or returns why `bytes` are not an answer to it (see
 *  `answerMismatch`); the records are not read then. Throws `UnusableAnswer` for an answer to
 *  `query` that is malformed or beyond the limits, and another `DecodeError` for a message without
 *  a readable question. */
export function decodeDnsAnswer(query: DnsQuery, bytes: Uint8Array): DnsMessage | string {
  const reader = new MessageReader(bytes);
  const mismatch = answerMismatch(query, reader.head);
  if (mismatch !== undefined) return mismatch;
  try {
    return reader.message(query.type);
  } catch (error) {
    if (error instanceof DecodeError) throw new UnusableAnswer(error.message);
    throw error;
  }
}

/** The answer cannot be used. Its id and question match, so it is not a forger's guess. */
export class UnusableAnswer extends DecodeError {}

class MessageReader {
  readonly head: DnsHead;
  readonly #reader: Reader;
  readonly #names = new Names();
  readonly #answers: number;
  readonly #authorities: number;

  /** Reads up to the question. */
  constructor(bytes: Uint8Array) {
    const reader = this.#reader = new Reader(bytes, "dns");
    const id = reader.u16("id");
    const flags = reader.u16("flags");
    const questions = reader.u16("question count");
    this.#answers = reader.u16("answer count");
    this.#authorities = reader.u16("authority count");
    reader.u16("additional count");
    // RFC 9619: no query has more than one question, so no answer may.
    if (questions > 1) throw new DecodeError("dns: question count: more than one at byte 4");
    this.head = {
      id,
      response: (flags & 0x8000) !== 0,
      truncated: (flags & 0x0200) !== 0,
      rcode: flags & 0x0f,
      question: questions === 0 ? undefined : this.#question(isFailure(flags & 0x0f)),
    };
    if ((flags & 0x7800) !== 0) throw new DecodeError("dns: flags: opcode not QUERY at byte 2");
  }

  /** Reads the question. In a failure it may be missing although the header counts one. */
  #question(failure: boolean): DnsHead["question"] {
    const reader = this.#reader;
    try {
      return {
        name: this.#names.read(reader, "question name"),
        type: reader.u16("question type"),
        class: reader.u16("question class"),
      };
    } catch (error) {
      if (failure && error instanceof DecodeError) return undefined;
      throw error;
    }
  }

  message(wanted: DnsQueryType | undefined): DnsMessage {
    const message: DnsMessage = { ...this.head, answers: [], negativeTtl: undefined };
    // RFC 2181 9: the records of a truncated message are ignored; the last one may be cut.
    // The records of a failure are not used, so damage in them does not matter.
    if (message.truncated || isFailure(message.rcode)) return message;
    if (this.#reader.bytes.length > MAX_DNS_MESSAGE) {
      throw new DecodeError(
        `dns: message: above ${MAX_DNS_MESSAGE} bytes at byte ${MAX_DNS_MESSAGE}`,
      );
    }
    const kept = { A: 0, AAAA: 0, PTR: 0, CNAME: 0 };
    for (let i = 0; i < this.#answers; i++) {
      this.#record((type) => {
        const known = ANSWER_TYPES.get(type);
        if (known === undefined || kept[known] >= MAX_KEPT[known]) return false;
        if (known !== "CNAME" && wanted !== undefined && known !== wanted) return false;
        kept[known]++;
        return true;
      }, (name, type, ttl) => message.answers.push({ name, ttl, ...this.#data(type) }));
    }
    for (let i = 0; i < this.#authorities; i++) {
      this.#record(
        (type) => type === DNS_TYPE.SOA && message.negativeTtl === undefined,
        (_name, _type, ttl) => message.negativeTtl = this.#negativeTtl(ttl),
      );
    }
    return message;
  }

  /** Reads the next record with `read` if its class is IN and `wants` accepts its type. Otherwise
   *  skips it, without decoding the owner name. */
  #record(
    wants: (type: number) => boolean,
    read: (name: string, type: number, ttl: number) => void,
  ): void {
    const reader = this.#reader;
    const owner = new Reader(reader.bytes, reader.format, reader.at);
    skipName(reader, "record name");
    const type = reader.u16("record type");
    const inClass = reader.u16("record class") === CLASS_IN;
    const seconds = reader.u32("record ttl");
    const length = reader.u16("record length");
    const end = reader.at + length;
    if (length > reader.left) {
      throw new DecodeError(`dns: record data: runs past the end at byte ${reader.at}`);
    }
    if (!inClass || !wants(type)) {
      reader.at = end;
      return;
    }
    const size = SIZES.get(type);
    if (size !== undefined && size !== length) {
      throw new DecodeError(
        `dns: ${ANSWER_TYPES.get(type)} data: not ${size} bytes at byte ${reader.at}`,
      );
    }
    read(this.#names.read(owner, "record name"), type, seconds > MAX_TTL ? 0 : seconds);
    if (reader.at !== end) {
      throw new DecodeError(`dns: record data: length does not fit its type at byte ${end}`);
    }
  }

  /** Reads the data of a record. Its type must be in ANSWER_TYPES. */
  #data(type: number): Pick<DnsRecord, "type" | "data"> {
    const known = ANSWER_TYPES.get(type) as DnsRecord["type"];
    const field = `${known} data`;
    const size = SIZES.get(type);
    const data = size === undefined
      ? this.#names.read(this.#reader, field)
      : formatIp(this.#reader.take(size, field).slice());
    return { type: known, data };
  }

  /** RFC 2308 5: the lesser of the SOA record's own TTL and its MINIMUM field. */
  #negativeTtl(ttl: number): number {
    const reader = this.#reader;
    skipName(reader, "SOA mname");
    skipName(reader, "SOA rname");
    reader.skip(16, "SOA numbers");
    const minimum = reader.u32("SOA minimum");
    return Math.min(ttl, minimum > MAX_TTL ? 0 : minimum);
  }
}

/** True for a code that does not answer the question, such as SERVFAIL or REFUSED. */
export function isFailure(rcode: number): boolean {
  return rcode !== RCODE.ok && rcode !== RCODE.nxDomain;
}

const ANSWER_TYPES = new Map<number, DnsRecord["type"]>([
  [DNS_TYPE.A, "A"],
  [DNS_TYPE.AAAA, "AAAA"],
  [DNS_TYPE.PTR, "PTR"],
  [DNS_TYPE.CNAME, "CNAME"],
]);
/** Bytes of data, for types with a fixed size. */
const SIZES = new Map<number, number>([[DNS_TYPE.A, 4], [DNS_TYPE.AAAA, 16]]);

/** Returns why `message` is not an answer to `query`, or undefined if it is one. A forger who
 *  cannot see the query sends mismatches (RFC 5452 9.1), so the caller must drop such a message. */
export function answerMismatch(query: DnsQuery, message: DnsHead): string | undefined {
  if (!message.response) return "not a response";
  if (message.id !== query.id) return "wrong id";
  const asked = message.question;
  if (asked === undefined) {
    // A server that fails or refuses may return a bare header (RFC 6891 7 for FORMERR). An answer
    // or NXDOMAIN without the question counts as forged.
    return isFailure(message.rcode) ? undefined : "no question";
  }
  if (asked.name !== query.name) return "wrong question name";
  if (asked.type !== DNS_TYPE[query.type]) return "wrong question type";
  if (asked.class !== CLASS_IN) return "wrong question class";
  return undefined;
}
