#!/bin/sh
# DNS over TLS (RFC 7858) on port 853, for a resolver that answers DNS over TCP at 127.0.0.1 port 53. socat runs as user
# 65534 and connects to the resolver. ALPN=dot is for clients that offer this protocol; clients without ALPN are served,
# too. A connection without traffic is closed after 30 seconds. Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  ALPN=dot MAXCONIP=20 MAXCONRATE=100/60 \
  sslserver -v -H -u 65534 -g 65534 -c 200 -w 30 -l dns.example :0 853 \
  socat - TCP:127.0.0.1:53
