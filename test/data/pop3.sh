#!/bin/sh
# A POP3 server that knows little more than STLS (RFC 2595), over UCSPI-TLS. Its mailbox is empty.
r=$(printf '\r')
printf '+OK ready\r\n'
tls=no
while read -r command rest; do
  case ${command%"$r"} in
    [Cc][Aa][Pp][Aa]) printf '+OK\r\nUSER\r\n%s.\r\n' "$([ $tls = yes ] || printf 'STLS\r\n')" ;;
    [Ss][Tt][Ll][Ss])
      [ $tls = no ] || { printf -- '-ERR already\r\n'; continue; }
      printf '+OK begin\r\n'
      printf y >&"$SSLCTLFD"
      exec <&"$SSLREADFD" >&"$SSLWRITEFD"
      tls=yes
      ;;
    [Ss][Tt][Aa][Tt]) printf '+OK 0 0 tls=%s\r\n' $tls ;;
    [Qq][Uu][Ii][Tt]) printf '+OK bye\r\n'; exit 0 ;;
    *) printf -- '-ERR what\r\n' ;;
  esac
done
