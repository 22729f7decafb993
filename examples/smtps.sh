#!/bin/sh
# SMTP over TLS on port 465, for any program that speaks SMTP on its descriptors 0 and 1, such as qmail-smtpd.
# With -e the program gets TCPREMOTEIP. Each address may have 10 connections at once (MAXCONIP), and open 30 in 60
# seconds (MAXCONRATE). Rules can change both for a network: see tcprules(1). Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  MAXCONIP=10 MAXCONRATE=30/60 \
  sslserver -v -e -u 1000 -g 1000 -c 200 -x /etc/sslserver/smtp.cdb -l mx.example :0 465 smtpd
