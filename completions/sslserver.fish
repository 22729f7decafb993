# fish completion for sslserver. Made by: sslserver --completion fish

# Prints how many operands come before the cursor, and their first one's place among the words.
function __sslserver_operands
    set -l words (commandline -opc)
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case --log --notify-fd --metrics -I -b --proxy-from -c --pending -t -T -w -x -y --access-dir --access-cdb --lookup-timeout -l --workers --drain-timeout --kill-after -B --early-banner --variables -g -u --man --completion
                set i (math $i + 1)
            case '-?*'
            case '*'
                echo (math (count $words) - $i + 1)
                echo $i
                return
        end
        set i (math $i + 1)
    end
    echo 0
end

function __sslserver_options
    test (__sslserver_operands)[1] -eq 0
end

# host and port are there: what follows is a command.
function __sslserver_command
    set -l place (__sslserver_operands)
    set -l words (commandline -opc) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[(math $place[2] + 2)..-2]) $words[-1])
end

complete -c sslserver -f
complete -c sslserver -n __sslserver_options -a '0 :: :0 (__fish_print_hostnames)'
complete -c sslserver -n 'test (__sslserver_operands)[1] -ge 2' -a '(__sslserver_command)'
complete -c sslserver -n __sslserver_options -s q -d 'print nothing'
complete -c sslserver -n __sslserver_options -s Q -d 'print errors (default)'
complete -c sslserver -n __sslserver_options -s v -d 'also print status lines'
complete -c sslserver -n __sslserver_options -s V -d 'also print protocol and cipher'
complete -c sslserver -n __sslserver_options -l log -x -a 'text json s6' -d 'format of the lines on stderr (text)'
complete -c sslserver -n __sslserver_options -l trace -d 'log the handshake messages of each connection'
complete -c sslserver -n __sslserver_options -l trace-bytes -d 'log every byte of TLS too'
complete -c sslserver -n __sslserver_options -s 1 -d 'print the local port to stdout when ready'
complete -c sslserver -n __sslserver_options -l notify-fd -x -d 'write a newline to descriptor n when ready (s6)'
complete -c sslserver -n __sslserver_options -l metrics -r -F -d 'serve Prometheus metrics on host:port or a unix socket'
complete -c sslserver -n __sslserver_options -s 4 -d 'resolve host to IPv4'
complete -c sslserver -n __sslserver_options -s 6 -d 'resolve host to IPv6; set PROTO and the TCP6 variables'
complete -c sslserver -n __sslserver_options -s I -x -d 'interface of a link-local IPv6 host'
complete -c sslserver -n __sslserver_options -s b -x -d 'listen backlog (1024)'
complete -c sslserver -n __sslserver_options -s o -d 'keep the IP options of clients'
complete -c sslserver -n __sslserver_options -s O -d 'remove them (default)'
complete -c sslserver -n __sslserver_options -s d -d 'delay small packets (Nagle)'
complete -c sslserver -n __sslserver_options -s D -d 'do not delay packets (default)'
complete -c sslserver -n __sslserver_options -l proxy-from -x -d 'these networks must send a PROXY header; no others may'
complete -c sslserver -n __sslserver_options -s c -x -d 'maximum programs at once (40)'
complete -c sslserver -n __sslserver_options -l pending -x -d 'maximum connections still in the handshake (1000)'
complete -c sslserver -n __sslserver_options -s t -x -d 'ident timeout in seconds (26)'
complete -c sslserver -n __sslserver_options -s T -x -d 'handshake timeout in seconds (26)'
complete -c sslserver -n __sslserver_options -s w -x -d 'close a connection after s seconds without traffic (3600)'
complete -c sslserver -n __sslserver_options -s x -r -F -d 'apply this rules file after DNS and ident'
complete -c sslserver -n __sslserver_options -s y -r -F -d 'apply this rules file before DNS and ident'
complete -c sslserver -n __sslserver_options -s X -d 'allow clients if a rules file is missing'
complete -c sslserver -n __sslserver_options -l access-dir -r -F -d 'apply the s6 access rules of this folder'
complete -c sslserver -n __sslserver_options -l access-cdb -r -F -d 'apply the s6 access rules of this cdb file'
complete -c sslserver -n __sslserver_options -s h -d 'look up the client\'s name in DNS (default)'
complete -c sslserver -n __sslserver_options -s H -d 'do not look it up'
complete -c sslserver -n __sslserver_options -s p -d 'use the name only if it resolves to the address'
complete -c sslserver -n __sslserver_options -s P -d 'do not verify the name (default)'
complete -c sslserver -n __sslserver_options -l hosts -d 'look names up in /etc/hosts first'
complete -c sslserver -n __sslserver_options -l strict-resolution -d 'deny a client if DNS or ident does not answer'
complete -c sslserver -n __sslserver_options -l lookup-timeout -x -d 'deny a client whose look-ups take longer than s seconds'
complete -c sslserver -n __sslserver_options -s l -x -d 'set the local name instead of asking DNS'
complete -c sslserver -n __sslserver_options -s r -d 'ask the client\'s ident server'
complete -c sslserver -n __sslserver_options -s R -d 'do not ask it (default)'
complete -c sslserver -n __sslserver_options -s n -d 'TLS begins when the program asks for it (UCSPI-TLS)'
complete -c sslserver -n __sslserver_options -s N -d 'TLS begins at once (default)'
complete -c sslserver -n __sslserver_options -s m -d 'require a valid client certificate'
complete -c sslserver -n __sslserver_options -s z -d 'require one that matches the client\'s host name, if any'
complete -c sslserver -n __sslserver_options -l client-cert -d 'ask for a client certificate, and refuse an invalid one'
complete -c sslserver -n __sslserver_options -s Z -d 'do not require one (default)'
complete -c sslserver -n __sslserver_options -l no-close-notify -d 'end output with FIN, without close_notify'
complete -c sslserver -n __sslserver_options -l enforce-close-notify -d 'a client must send close_notify before it closes'
complete -c sslserver -n __sslserver_options -s 3 -d 'read the key\'s password from descriptor 3'
complete -c sslserver -n __sslserver_options -l self-signed -d 'serve with a temporary certificate'
complete -c sslserver -n __sslserver_options -l workers -x -a 'n auto' -d 'worker processes (1); 0: one process does everything'
complete -c sslserver -n __sslserver_options -l drain-timeout -x -d 'end connections s seconds after SIGTERM'
complete -c sslserver -n __sslserver_options -l kill-after -x -d 'send a program SIGKILL s seconds after SIGTERM'
complete -c sslserver -n __sslserver_options -s B -x -d 'send text to the client first'
complete -c sslserver -n __sslserver_options -l early-banner -x -d 'send text in the clear, before rules and TLS'
complete -c sslserver -n __sslserver_options -s s -d 'set mod_ssl\'s variables'
complete -c sslserver -n __sslserver_options -s S -d 'do not set them (default)'
complete -c sslserver -n __sslserver_options -l variables -x -a 'ucspi s6' -d 'describe connections by these programs\' variables (ucspi)'
complete -c sslserver -n __sslserver_options -s e -d 'also set tcpserver\'s variables'
complete -c sslserver -n __sslserver_options -s E -d 'do not set them (default)'
complete -c sslserver -n __sslserver_options -s g -x -d 'run programs as this group (number or name)'
complete -c sslserver -n __sslserver_options -s u -x -d 'run programs as this user (number or name)'
complete -c sslserver -n __sslserver_options -s U -d 'run programs as $UID, $GID and the groups of $GIDLIST'
complete -c sslserver -n __sslserver_options -l echo -d 'send back what the client sends'
complete -c sslserver -n __sslserver_options -l check -d 'check the configuration, and do not serve'
complete -c sslserver -n __sslserver_options -l help -d 'print this help'
complete -c sslserver -n __sslserver_options -l man -x -a 'sslserver sslclient sslcat sslconnect https@ tcprules tcprulescheck ucspi-tls sslserver-environment' -d 'print a manual page (sslserver)'
complete -c sslserver -n __sslserver_options -l completion -x -a 'bash zsh fish' -d 'print completions for a shell'
complete -c sslserver -n __sslserver_options -l version -d 'print the version'
