#!/bin/sh
# SMTP with STARTTLS by an external program: mailfront speaks SMTP and asks for TLS through
# UCSPI-TLS (-n). smtpfront-echo accepts mail and discards it; use smtpfront-qmail in its place.
#   CERTFILE=cert.pem KEYFILE=key.pem PORT=2525 examples/smtp_starttls.sh
# Debian: apt-get install mailfront
UCSPITLS=1
PLUGINS=starttls-ucspi:accept
export UCSPITLS PLUGINS
exec "${SSLSERVER:-sslserver}" -1 -v -n -H -l 0 127.0.0.1 "${PORT:-2525}" smtpfront-echo
