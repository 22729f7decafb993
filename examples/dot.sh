#!/bin/sh
# DNS over TLS (RFC 7858) on port 853, before a resolver that answers DNS over TCP at 127.0.0.1 port 53. socat connects
# to it, as user 65534. ALPN=dot is for clients that ask for it; others are served too. An idle connection ends after
# 30 seconds. Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  ALPN=dot MAXCONIP=20 MAXCONRATE=100/60 \
  sslserver -v -H -u 65534 -g 65534 -c 200 -w 30 -l dns.example :0 853 \
  socat - TCP:127.0.0.1:53
