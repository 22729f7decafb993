#!/bin/sh
# POP3 over TLS on port 995. These programs check passwords and then switch to the owner of the mailbox. They must start
# as root, so there is no -u and no -g. Workers do TLS as user 65534, with an empty root folder. Only root needs to read
# the key. For IMAP on port 993, change the port and the programs.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  SSL_UID=65534 SSL_GID=65534 SSL_CHROOT=/var/empty MAXCONIP=10 MAXCONRATE=30/60 \
  sslserver -v -e -H -c 200 -w 600 -l mx.example :0 995 \
  qmail-popup mx.example checkpassword qmail-pop3d Maildir
