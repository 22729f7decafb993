/** DNS messages: queries out, answers in (RFC 1035 4.1, RFC 6891 for EDNS0). Pure: no I/O.
 *
 *  Only what a stub resolver uses is decoded: the records of the type that was asked for and CNAMEs
 *  of class IN in the answer section, and the SOA of the authority section, whose TTL says how long
 *  a "no" holds. Other records are stepped over without decoding their names; the additional section
 *  is not read at all.
 *
 *  Whoever owns a zone chooses what is in an answer, so the work for one is limited: in bytes
 *  (MAX_MESSAGE), in records kept (MAX_KEPT), and in octets of names (MAX_NAME_WORK). */

import { concat, DecodeError, Reader } from "../bytes.ts";
import { encodeName, Names, skipName } from "./name.ts";
import { formatIp } from "../ip.ts";

/** What can be asked. */
export type DnsQueryType = "A" | "AAAA" | "PTR";

/** Type numbers (RFC 1035 3.2.2, RFC 3596 2.1, RFC 6891 6.1.1). */
export const DNS_TYPE = { A: 1, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, OPT: 41 } as const;
const CLASS_IN = 1;

/** Response codes that mean something here (RFC 1035 4.1.1); all others count as a failure too. */
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

/** Bytes of the largest message that is read: 1,000 addresses, or 500 host names. */
export const MAX_DNS_MESSAGE = 16_384;

/** Records kept of each type; further ones are stepped over. Of the names of an address only the
 *  first is used, and 16 CNAMEs are the longest chain that is followed. */
const MAX_KEPT = { A: 256, AAAA: 256, PTR: 16, CNAME: 16 } as const;

/** RFC 2181 8: a TTL has 31 bits; one with the top bit set counts as zero. */
const MAX_TTL = 0x7fffffff;

/** A question, as it is asked. */
export interface DnsQuery {
  /** 16 random bits. */
  id: number;
  /** Text form, see name.ts. */
  name: string;
  /** What is asked for. */
  type: DnsQueryType;
  /** True: with an OPT record. */
  edns: boolean;
}

/** One record of the answer section. */
export interface DnsRecord {
  /** The name that it belongs to, in text form. */
  name: string;
  /** Records of other types are not kept. */
  type: DnsQueryType | "CNAME";
  /** Seconds. */
  ttl: number;
  /** An address, or a name in text form. */
  data: string;
}

/** What comes before the records. */
export interface DnsHead {
  /** That of the query which it answers. */
  id: number;
  /** QR: this is an answer. */
  response: boolean;
  /** TC: cut short, ask again by TCP. What follows the question is not read then. */
  truncated: boolean;
  /** The response code (RFC 1035 4.1.1); 0: no error. */
  rcode: number;
  /** Undefined when the message repeats no question: an error may come as a bare header. */
  question: { name: string; type: number; class: number } | undefined;
}

/** A whole message, as far as it is read. */
export interface DnsMessage extends DnsHead {
  /** In the order of the message. */
  answers: DnsRecord[];
  /** Seconds a negative answer may be remembered (RFC 2308 5); undefined without a SOA. */
  negativeTtl: number | undefined;
}

/** A recursive query, with an EDNS0 OPT record when asked for (RFC 6891 6.1.2). */
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

/** Decodes an answer; every record is checked against the message's end. Only records of type
 *  `wanted` and CNAMEs are kept; without it, all types that can be asked for. */
export function decodeDnsMessage(bytes: Uint8Array, wanted?: DnsQueryType): DnsMessage {
  return new MessageReader(bytes).message(wanted);
}

/** The answer in `bytes` to `query`, or why they are none (see `answerMismatch`): the records of a
 *  message that is no answer are not looked at. Throws `UnusableAnswer` for an answer to `query` that is
 *  malformed or beyond the limits, another `DecodeError` for a message without a readable question. */
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

/** An answer that repeats id and question, so that no forger has guessed it, and cannot be used. */
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

  /** A server that fails may count a question in its header and send none. */
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
    // RFC 2181 9: what a truncated message holds is to be ignored; its last record may be cut.
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

  /** Reads the next record with `read` if it is of class IN and `wants` its type; else steps over
   *  it. The owner's name is decoded only if the record is read. */
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

  /** The data of a type in ANSWER_TYPES. */
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

/** True for a code that answers nothing: SERVFAIL, REFUSED and the like. */
export function isFailure(rcode: number): boolean {
  return rcode !== RCODE.ok && rcode !== RCODE.nxDomain;
}

const ANSWER_TYPES = new Map<number, DnsRecord["type"]>([
  [DNS_TYPE.A, "A"],
  [DNS_TYPE.AAAA, "AAAA"],
  [DNS_TYPE.PTR, "PTR"],
  [DNS_TYPE.CNAME, "CNAME"],
]);
/** Bytes of data, where the type says it. */
const SIZES = new Map<number, number>([[DNS_TYPE.A, 4], [DNS_TYPE.AAAA, 16]]);

/** Why `message` is no answer to `query`, or undefined when it is one. A mismatch is what a forger
 *  who cannot see the query sends (RFC 5452 9.1): such a message is dropped, not believed. */
export function answerMismatch(query: DnsQuery, message: DnsHead): string | undefined {
  if (!message.response) return "not a response";
  if (message.id !== query.id) return "wrong id";
  const asked = message.question;
  if (asked === undefined) {
    // A server that fails or refuses may send back the bare header (RFC 6891 7 for FORMERR). An
    // answer or a denial without the question is a forger's.
    return isFailure(message.rcode) ? undefined : "no question";
  }
  if (asked.name !== query.name) return "wrong question name";
  if (asked.type !== DNS_TYPE[query.type]) return "wrong question type";
  if (asked.class !== CLASS_IN) return "wrong question class";
  return undefined;
}
