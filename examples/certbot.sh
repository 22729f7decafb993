#!/bin/sh
# A deploy hook of certbot, only for a server whose user cannot read /etc/letsencrypt: one process (sslhandle, or
# --workers 0), or a server that is not started as root. Copy it to /etc/letsencrypt/renewal-hooks/deploy/ and set the
# group. certbot sets RENEWED_LINEAGE. Each file is complete when it gets its name, and the server keeps the former
# pair until key and certificate match. It needs no restart and no signal.
set -eu
group=mail
install -m 644 "$RENEWED_LINEAGE/fullchain.pem" /etc/ssl/mx.pem.new
install -m 640 -g "$group" "$RENEWED_LINEAGE/privkey.pem" /etc/ssl/mx.key.new
mv /etc/ssl/mx.pem.new /etc/ssl/mx.pem
mv /etc/ssl/mx.key.new /etc/ssl/mx.key
