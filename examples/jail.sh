#!/bin/sh
# A jail for the program. chroot(8) starts the program in /srv/jail as user 1000, without supplementary groups. chroot
# must start as root, so there is no -u and no -g. /srv/jail has the program and its libraries. User 1000 can write
# nothing there. prlimit limits open files and processes. setpriv --no-new-privs disables setuid files. Workers have a
# jail of their own, which is empty.
exec 2>&1
cd / || exit 111
exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin CERTFILE=/etc/ssl/mx.pem KEYFILE=/etc/ssl/mx.key \
  SSL_UID=65534 SSL_GID=65534 SSL_CHROOT=/var/empty MAXCONIP=10 \
  sslserver -v -H -c 50 -l mx.example :0 7007 \
  setpriv --no-new-privs prlimit --nofile=64 --nproc=100 chroot --userspec=1000:1000 --groups= /srv/jail /bin/prog
