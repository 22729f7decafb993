#!/bin/sh
# An internal service for clients with a certificate of your own authority (-m). A certificate in the revocation list is
# refused; a changed list is used within two seconds. The program reads the client's name in SSL_CLIENT_S_DN_CN (-s).
# Only root needs to read the key.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  CAFILE=/etc/sslserver/ca.pem CRLFILE=/etc/sslserver/crl.pem \
  sslserver -v -m -s -H -u 1000 -g 1000 -c 100 -l mx.example :0 8443 \
  sh -c 'echo "hello $SSL_CLIENT_S_DN_CN"'
