# bash completion for sslserver. Made by: sslserver --completion bash

_sslserver() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i operands=0
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --metrics|-x|-y|--access-dir|--access-cdb|--notify-fd|-I|-b|--proxy-from|-c|--pending|-t|-T|-w|--lookup-timeout|-l|--drain-timeout|--kill-after|-B|--early-banner|-g|-u|--log|--workers|--variables|--man|--completion) ((i++)) ;;
      -?*) ;;
      *) operands=$((COMP_CWORD - i)); break ;;
    esac
  done
  if ((operands >= 2)); then
    # host and port are there: what follows is a command.
    if declare -F _command_offset >/dev/null; then _command_offset $((i + 2)); return; fi
    if ((operands == 2)); then COMPREPLY=($(compgen -c -- "$word")); return; fi
    COMPREPLY=($(compgen -f -- "$word"))
    return
  fi
  if ((operands == 1)); then COMPREPLY=($(compgen -A service -- "$word")); return; fi
  case $before in
    --log) COMPREPLY=($(compgen -W 'text json s6' -- "$word")); return ;;
    --workers) COMPREPLY=($(compgen -W 'n auto' -- "$word")); return ;;
    --variables) COMPREPLY=($(compgen -W 'ucspi s6' -- "$word")); return ;;
    --man) COMPREPLY=($(compgen -W 'sslserver sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -- "$word")); return ;;
    --completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$word")); return ;;
    --metrics|-x|-y|--access-dir|--access-cdb) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --notify-fd|-I|-b|--proxy-from|-c|--pending|-t|-T|-w|--lookup-timeout|-l|--drain-timeout|--kill-after|-B|--early-banner|-g|-u) return ;;
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W '-q -Q -v -V --log --trace --trace-bytes -1 --notify-fd --metrics -4 -6 -I -b -o -O -d -D --proxy-from -c --pending -t -T -w -x -y -X --access-dir --access-cdb -h -H -p -P --hosts --strict-resolution --lookup-timeout -l -r -R -n -N -m -z --client-cert -Z --no-close-notify --enforce-close-notify -3 --self-signed --workers --drain-timeout --kill-after -B --early-banner -s -S --variables -e -E -g -u -U --echo --check --help --man --completion --version' -- "$word")) ;;
    *) COMPREPLY=($(compgen -A hostname -W '0 :: :0' -- "$word")) ;;
  esac
}

complete -F _sslserver sslserver
