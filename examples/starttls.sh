#!/bin/sh
# SMTP with STARTTLS on port 25, with mailfront (Debian: apt-get install mailfront). With -n the program tells the
# server when to begin TLS (UCSPI-TLS). smtpfront-echo accepts mail and discards it; use smtpfront-qmail instead.
# With -e the program gets TCPREMOTEIP. Each address may have 10 connections at once (MAXCONIP), and open 30 in 60
# seconds (MAXCONRATE). Rules can change both for a network: see tcprules(1). Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  UCSPITLS=1 PLUGINS=starttls-ucspi:accept MAXCONIP=10 MAXCONRATE=30/60 \
  sslserver -v -e -n -u 1000 -g 1000 -c 200 -x /etc/sslserver/smtp.cdb -l mx.example :0 25 \
  /usr/sbin/smtpfront-echo
