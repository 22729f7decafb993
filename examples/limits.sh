#!/bin/sh
# Limits against scanners and floods, for a service on port 465. One address may have 5 connections at once, and open 20
# in 60 seconds. All clients together may have 500 unfinished handshakes and 200 programs. A handshake may last 10
# seconds, and a connection without traffic is closed after 300. -y denies networks before DNS is asked and before TLS.
# The file of -y is read again when it changes.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  MAXCONIP=5 MAXCONRATE=20/60 \
  sslserver -v -u 1000 -g 1000 -c 200 --pending 500 -T 10 -w 300 --kill-after 10 --lookup-timeout 10 \
  -y /etc/sslserver/deny.cdb --metrics 127.0.0.1:9100 -l mx.example :0 465 smtpd
