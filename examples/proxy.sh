#!/bin/sh
# TLS on port 8443 for a service at 127.0.0.1 port 8080. socat runs as user 65534 and connects to the service. When one
# side ends its data, socat waits half a second for the other side, and then ends; its option -t changes this time.
# Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key MAXCONIP=50 \
  sslserver -v -H -u 65534 -g 65534 -c 200 -l mx.example :0 8443 \
  socat - TCP:127.0.0.1:8080
