#!/bin/sh
# A deploy hook of certbot. It is needed only if the server cannot read /etc/letsencrypt: a single process (sslhandle,
# or --workers 0) that has switched its user, or a server that was not started as root. Copy this file to
# /etc/letsencrypt/renewal-hooks/deploy/ and set the group of the server. certbot sets RENEWED_LINEAGE. A file is
# complete before it gets its name. The server uses the old pair until key and certificate match, and needs no restart.
set -eu
group=mail
install -m 644 "$RENEWED_LINEAGE/fullchain.pem" /etc/ssl/mx.pem.new
install -m 640 -g "$group" "$RENEWED_LINEAGE/privkey.pem" /etc/ssl/mx.key.new
mv /etc/ssl/mx.pem.new /etc/ssl/mx.pem
mv /etc/ssl/mx.key.new /etc/ssl/mx.key
