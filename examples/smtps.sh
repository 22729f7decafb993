#!/bin/sh
# SMTP over TLS on port 465, by any program that speaks SMTP on its descriptors 0 and 1 (qmail-smtpd, say).
# With -e it gets TCPREMOTEIP. MAXCONIP and MAXCONRATE limit each address: 10 connections at once, and 30 in
# 60 seconds. Rules can change these for a network: see tcprules(1). Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  MAXCONIP=10 MAXCONRATE=30/60 \
  sslserver -v -e -u 1000 -g 1000 -c 200 -x /etc/sslserver/smtp.cdb -l mx.example :0 465 smtpd
