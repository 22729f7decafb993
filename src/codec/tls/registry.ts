/** The numbers of TLS and their names, from IANA's registries "TLS Parameters" and "TLS
 *  ExtensionType Values" as of September 2026. Cipher suites are in cipher_suites.ts,
 *  other algorithms in algorithms.ts. */

import { isGrease } from "./grease.ts";

/** A registry: number to name. */
export type NumberNames = Readonly<Record<number, string>>;

/** Content types of records (RFC 8446 5.1). */
export const CONTENT_TYPES: NumberNames = {
  20: "change_cipher_spec",
  21: "alert",
  22: "handshake",
  23: "application_data",
  24: "heartbeat",
  25: "tls12_cid",
  26: "ack",
};

/** Types of handshake messages (RFC 8446 4). */
export const HANDSHAKE_TYPES: NumberNames = {
  0: "hello_request",
  1: "client_hello",
  2: "server_hello",
  3: "hello_verify_request",
  4: "new_session_ticket",
  5: "end_of_early_data",
  6: "hello_retry_request",
  8: "encrypted_extensions",
  9: "request_connection_id",
  10: "new_connection_id",
  11: "certificate",
  12: "server_key_exchange",
  13: "certificate_request",
  14: "server_hello_done",
  15: "certificate_verify",
  16: "client_key_exchange",
  17: "client_certificate_request",
  20: "finished",
  21: "certificate_url",
  22: "certificate_status",
  23: "supplemental_data",
  24: "key_update",
  25: "compressed_certificate",
  26: "ekt_key",
  254: "message_hash",
};

export const TLS_VERSIONS: NumberNames = {
  0x0002: "SSL 2.0",
  0x0300: "SSL 3.0",
  0x0301: "TLS 1.0",
  0x0302: "TLS 1.1",
  0x0303: "TLS 1.2",
  0x0304: "TLS 1.3",
  0xfefc: "DTLS 1.3",
  0xfefd: "DTLS 1.2",
  0xfeff: "DTLS 1.0",
};

/** The last five are in use without being registered: Next Protocol Negotiation, ALPS
 *  (draft-vvv-tls-alps) with its former and its present number, Channel ID, and trust anchors
 *  (draft-ietf-tls-trust-anchor-ids). */
export const EXTENSIONS: NumberNames = {
  0: "server_name",
  1: "max_fragment_length",
  2: "client_certificate_url",
  3: "trusted_ca_keys",
  4: "truncated_hmac",
  5: "status_request",
  6: "user_mapping",
  7: "client_authz",
  8: "server_authz",
  9: "cert_type",
  10: "supported_groups",
  11: "ec_point_formats",
  12: "srp",
  13: "signature_algorithms",
  14: "use_srtp",
  15: "heartbeat",
  16: "application_layer_protocol_negotiation",
  17: "status_request_v2",
  18: "signed_certificate_timestamp",
  19: "client_certificate_type",
  20: "server_certificate_type",
  21: "padding",
  22: "encrypt_then_mac",
  23: "extended_main_secret",
  24: "token_binding",
  25: "cached_info",
  26: "tls_lts",
  27: "compress_certificate",
  28: "record_size_limit",
  29: "pwd_protect",
  30: "pwd_clear",
  31: "password_salt",
  32: "ticket_pinning",
  33: "tls_cert_with_extern_psk",
  34: "delegated_credential",
  35: "session_ticket",
  36: "TLMSP",
  37: "TLMSP_proxying",
  38: "TLMSP_delegate",
  39: "supported_ekt_ciphers",
  41: "pre_shared_key",
  42: "early_data",
  43: "supported_versions",
  44: "cookie",
  45: "psk_key_exchange_modes",
  47: "certificate_authorities",
  48: "oid_filters",
  49: "post_handshake_auth",
  50: "signature_algorithms_cert",
  51: "key_share",
  52: "transparency_info",
  53: "connection_id_deprecated",
  54: "connection_id",
  55: "external_id_hash",
  56: "external_session_id",
  57: "quic_transport_parameters",
  58: "ticket_request",
  59: "dnssec_chain",
  60: "sequence_number_encryption_algorithms",
  61: "rrc",
  62: "tls_flags",
  0xfd00: "ech_outer_extensions",
  0xfe0d: "encrypted_client_hello",
  0xff01: "renegotiation_info",
  13172: "next_protocol_negotiation",
  17513: "application_settings_old",
  17613: "application_settings",
  30032: "channel_id",
  0xca34: "trust_anchors",
};

/** `name (number)`, the number in hexadecimal with `digits` digits, or in decimal. A number without
 *  a name is `GREASE` or `unknown`. */
export function named(name: string | undefined, value: number, digits?: 2 | 4): string {
  const number = digits ? `0x${value.toString(16).padStart(digits, "0")}` : String(value);
  return `${name ?? (digits !== 2 && isGrease(value) ? "GREASE" : "unknown")} (${number})`;
}
