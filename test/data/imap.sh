#!/bin/sh
# An IMAP server that knows little more than STARTTLS (RFC 9051 6.2.1), over UCSPI-TLS with `Y`.
r=$(printf '\r')
printf '* OK ready\r\n'
tls=no
while read -r tag command rest; do
  case ${command%"$r"} in
    [Cc][Aa][Pp][Aa][Bb][Ii][Ll][Ii][Tt][Yy])
      printf '* CAPABILITY IMAP4rev1%s\r\n%s OK\r\n' "$([ $tls != no ] || printf ' STARTTLS')" "$tag"
      ;;
    [Ss][Tt][Aa][Rr][Tt][Tt][Ll][Ss])
      printf '%s OK begin\r\n' "$tag"
      printf Y >&"$SSLCTLFD"
      protocol=$(sed -zu '/^$/q' <&"$SSLCTLFD" | tr '\0' '\n' | sed -n 's/^SSL_PROTOCOL=//p')
      exec <&"$SSLREADFD" >&"$SSLWRITEFD"
      tls=$protocol
      ;;
    [Nn][Oo][Oo][Pp]) printf '%s OK tls=%s\r\n' "$tag" "$tls" ;;
    [Ll][Oo][Gg][Oo][Uu][Tt]) printf '* BYE\r\n%s OK\r\n' "$tag"; exit 0 ;;
    *) printf '%s BAD what\r\n' "$tag" ;;
  esac
done
