# bash completion for sslserver, s6-tlsserver, sslhandle, s_server, sslclient, sslcat, sslconnect, https@. Made by: sslserver --completion bash

_sslserver() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --log|--keylog|--notify-fd|--metrics|-I|-b|--proxy-from|-c|--pending|-t|-T|-w|-x|-y|--access-dir|--access-cdb|--lookup-timeout|-l|--workers|--drain-timeout|--kill-after|-B|--early-banner|--variables|-g|-u|--files|--handler|--man|--example|--completion) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # What follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $before in
    --log) COMPREPLY=($(compgen -W 'text json s6' -- "$word")); return ;;
    --keylog) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --notify-fd) return ;;
    --metrics) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -I) return ;;
    -b) return ;;
    --proxy-from) return ;;
    -c) return ;;
    --pending) return ;;
    -t) return ;;
    -T) return ;;
    -w) return ;;
    -x) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -y) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --access-dir) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --access-cdb) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --lookup-timeout) return ;;
    -l) return ;;
    --workers) COMPREPLY=($(compgen -W 'auto' -- "$word")); return ;;
    --drain-timeout) return ;;
    --kill-after) return ;;
    -B) return ;;
    --early-banner) return ;;
    --variables) COMPREPLY=($(compgen -W 'ucspi s6' -- "$word")); return ;;
    -g) return ;;
    -u) return ;;
    --files) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --handler) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    --example) COMPREPLY=($(compgen -W 'smtps starttls pop3s gemini https handler dot proxy proxy-module mtls limits jail certbot haproxy systemd systemd-socket s6 runit container' -- "$word")); return ;;
    --completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-q -Q -v -V --log --trace --trace-bytes --keylog -1 --notify-fd --metrics -4 -6 -I -b -o -O -d -D --proxy-from -c --pending -t -T -w -x -y -X --access-dir --access-cdb -h -H -p -P --hosts --strict-resolution --lookup-timeout -l -r -R -n -N -m -z --client-cert -Z --no-close-notify --enforce-close-notify -3 --self-signed --workers --drain-timeout --kill-after -B --early-banner -s -S --variables -e -E -g -u -U --echo --www --files --handler --check --help --man --example --completion --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0 :: :0' -- "$word"))
}

complete -F _sslserver sslserver

_s6_tlsserver() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -b|--backlog|-c|--global-max-connections|-C|--local-max-connections|-l|--local-name|-t|--timeout|-i|--rules-directory|-x|--rules-file|-B|--banner|-K|--handshake-timeout|-k|--sni-level|-u|--uid|-g|--gid|-G|--gidlist|--log|--keylog|--notify-fd|--metrics|--proxy-from|--pending|--access-dir|--access-cdb|--lookup-timeout|--workers|--drain-timeout|--kill-after|--early-banner|--variables|--files|--handler|--completion|--man) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # What follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $before in
    -b) return ;;
    --backlog) return ;;
    -c) return ;;
    --global-max-connections) return ;;
    -C) return ;;
    --local-max-connections) return ;;
    -l) return ;;
    --local-name) return ;;
    -t) return ;;
    --timeout) return ;;
    -i) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --rules-directory) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -x) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --rules-file) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -B) return ;;
    --banner) return ;;
    -K) return ;;
    --handshake-timeout) return ;;
    -k) return ;;
    --sni-level) return ;;
    -u) return ;;
    --uid) return ;;
    -g) return ;;
    --gid) return ;;
    -G) return ;;
    --gidlist) return ;;
    --log) COMPREPLY=($(compgen -W 'text json s6' -- "$word")); return ;;
    --keylog) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --notify-fd) return ;;
    --metrics) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --proxy-from) return ;;
    --pending) return ;;
    --access-dir) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --access-cdb) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --lookup-timeout) return ;;
    --workers) COMPREPLY=($(compgen -W 'auto' -- "$word")); return ;;
    --drain-timeout) return ;;
    --kill-after) return ;;
    --early-banner) return ;;
    --variables) COMPREPLY=($(compgen -W 'ucspi s6' -- "$word")); return ;;
    --files) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --handler) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")); return ;;
    --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-q --quiet -Q --normally-verbose -v --verbose -1 --notify -b --backlog -c --global-max-connections -C --local-max-connections -d --nagle -D --no-nagle -L --proxy --dns -H --no-dns -h --hosts --no-hosts -p --paranoid -P --no-paranoid -l --local-name -r --ident -R --no-ident -w --strict-resolution -W --no-strict-resolution -t --timeout -i --rules-directory -x --rules-file -B --banner -S --close-notify -s --no-close-notify -J --enforce-close-notify -j --no-enforce-close-notify -Y --client-cert -y --mandatory-client-cert -K --handshake-timeout -k --sni-level -Z --keep -z --no-keep -u --uid -g --gid -G --gidlist -U --envuidgid --log --trace --trace-bytes --keylog --notify-fd --metrics --proxy-from --pending --access-dir --access-cdb --lookup-timeout --self-signed --workers --drain-timeout --kill-after --early-banner --variables --echo --www --files --handler --check --help --completion --version --man' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _s6_tlsserver s6-tlsserver

_sslhandle() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --log|--keylog|--notify-fd|--metrics|-I|-b|--proxy-from|-c|--pending|-t|-T|-w|-x|-y|--access-dir|--access-cdb|--lookup-timeout|-l|--drain-timeout|--kill-after|-B|--early-banner|--variables|-g|-u|--man|--completion) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # What follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $before in
    --log) COMPREPLY=($(compgen -W 'text json s6' -- "$word")); return ;;
    --keylog) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --notify-fd) return ;;
    --metrics) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -I) return ;;
    -b) return ;;
    --proxy-from) return ;;
    -c) return ;;
    --pending) return ;;
    -t) return ;;
    -T) return ;;
    -w) return ;;
    -x) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -y) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --access-dir) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --access-cdb) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --lookup-timeout) return ;;
    -l) return ;;
    --drain-timeout) return ;;
    --kill-after) return ;;
    -B) return ;;
    --early-banner) return ;;
    --variables) COMPREPLY=($(compgen -W 'ucspi s6' -- "$word")); return ;;
    -g) return ;;
    -u) return ;;
    --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    --completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-q -Q -v -V --log --trace --trace-bytes --keylog -1 --notify-fd --metrics -4 -6 -I -b -o -O -d -D --proxy-from -c --pending -t -T -w -x -y -X --access-dir --access-cdb -h -H -p -P --hosts --strict-resolution --lookup-timeout -l -r -R -N -m -z --client-cert -Z --no-close-notify --enforce-close-notify -3 --self-signed --drain-timeout --kill-after -B --early-banner -s -S --variables -e -E -g -u -U --check --help --man --completion --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _sslhandle sslhandle

_s_server() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  case $before in
    -port) return ;;
    -accept) return ;;
    -naccept) return ;;
    -cert) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -key) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -cert_chain) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -pass) return ;;
    -certform) COMPREPLY=($(compgen -W 'PEM DER' -- "$word")); return ;;
    -keyform) COMPREPLY=($(compgen -W 'PEM DER' -- "$word")); return ;;
    -dcert) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -dkey) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -dcert_chain) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -dpass) return ;;
    -dcertform) COMPREPLY=($(compgen -W 'PEM DER' -- "$word")); return ;;
    -dkeyform) COMPREPLY=($(compgen -W 'PEM DER' -- "$word")); return ;;
    -servername) return ;;
    -cert2) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -key2) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -chainCAfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -verify) return ;;
    -Verify) return ;;
    -verify_depth) return ;;
    -CAfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -CApath) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -verifyCAfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -verifyCApath) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -CRL) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -CRLform) COMPREPLY=($(compgen -W 'PEM DER' -- "$word")); return ;;
    -min_protocol) return ;;
    -max_protocol) return ;;
    -cipher) return ;;
    -groups) return ;;
    -curves) return ;;
    -named_curve) return ;;
    -alpn) return ;;
    -msgfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -keylogfile) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-port -accept -4 -6 -naccept -cert -key -cert_chain -pass -certform -keyform -dcert -dkey -dcert_chain -dpass -dcertform -dkeyform -servername -cert2 -key2 -chainCAfile -verify -Verify -verify_depth -verify_return_error -CAfile -CApath -no-CAfile -no-CApath -verifyCAfile -verifyCApath -no_ca_names -CRL -CRLform -crl_check -crl_check_all -tls1 -tls1_1 -tls1_2 -tls1_3 -no_tls1 -no_tls1_1 -no_tls1_2 -no_tls1_3 -min_protocol -max_protocol -cipher -serverpref -groups -curves -named_curve -alpn -no_ticket -www -WWW -HTTP -rev -crlf -ign_eof -no_ign_eof -quiet -brief -state -msg -trace -debug -tlsextdebug -msgfile -keylogfile' -- "$word")); return ;;
  esac
}

complete -F _s_server s_server

_sslclient() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -T|-i|-p|-I|-w|-a|-A|-V|-c|-k|-z|-l|-t|--man) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # What follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $before in
    -T) return ;;
    -i) return ;;
    -p) return ;;
    -I) return ;;
    -w) return ;;
    -a) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -A) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -V) return ;;
    -c) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -k) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -z) return ;;
    -l) return ;;
    -t) return ;;
    --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-q -Q -v -4 -6 -T -i -p -I -d -D -w -x -X -n -N -a -A -V -c -k -3 -z -h -H -l -r -R -t -s -S -e -E --help --man --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _sslclient sslclient

_sslcat() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    case $before in
      -T) return ;;
      -i) return ;;
      -p) return ;;
      -I) return ;;
      -w) return ;;
      -a) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -A) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -V) return ;;
      -c) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -k) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -z) return ;;
      -l) return ;;
      -t) return ;;
      --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    esac
    case $word in
      -*) COMPREPLY=($(compgen -W '-q -Q -v -4 -6 -T -i -p -I -d -D -w -x -X -n -N -a -A -V -c -k -3 -z -h -H -l -r -R -t -s -S -e -E --help --man --version' -- "$word")); return ;;
    esac
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-4 -6 --help --man --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _sslcat sslcat

_sslconnect() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    case $before in
      -T) return ;;
      -i) return ;;
      -p) return ;;
      -I) return ;;
      -w) return ;;
      -a) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -A) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -V) return ;;
      -c) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -k) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -z) return ;;
      -l) return ;;
      -t) return ;;
      --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    esac
    case $word in
      -*) COMPREPLY=($(compgen -W '-q -Q -v -4 -6 -T -i -p -I -d -D -w -x -X -n -N -a -A -V -c -k -3 -z -h -H -l -r -R -t -s -S -e -E --help --man --version' -- "$word")); return ;;
    esac
    return
  fi
  case $operands in
    0) ;;
    1) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-4 -6 --help --man --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _sslconnect sslconnect

_https_at() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0 first=1
  [[ ${COMP_WORDS[1]} == @ ]] && first=2
  for ((i = first; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 3)); then
    case $before in
      -T) return ;;
      -i) return ;;
      -p) return ;;
      -I) return ;;
      -w) return ;;
      -a) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -A) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -V) return ;;
      -c) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -k) COMPREPLY=($(compgen -f -- "$word")); return ;;
      -z) return ;;
      -l) return ;;
      -t) return ;;
      --man) COMPREPLY=($(compgen -W 'sslserver s6-tlsserver sslhandle s_server sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    esac
    case $word in
      -*) COMPREPLY=($(compgen -W '-q -Q -v -4 -6 -T -i -p -I -d -D -w -x -X -n -N -a -A -V -c -k -3 -z -h -H -l -r -R -t -s -S -e -E --help --man --version' -- "$word")); return ;;
    esac
    return
  fi
  case $operands in
    0) ;;
    2) COMPREPLY=($(compgen -A service -- "$word")); return ;;
    *) return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-4 -6 --help --man --version' -- "$word")); return ;;
  esac
  COMPREPLY=($(compgen -A hostname -W '0' -- "$word"))
}

complete -F _https_at https@
