#!/usr/bin/python3
"""Stands for systemd with a .socket unit: keeps a listening socket, starts the server on it, and prints
what the server writes to NOTIFY_SOCKET.

    supervisor.py ADDRESS FOLDER COMMAND...

Reads commands, one a line: "start", "term", "hup", "quit". Prints what happens, one line each:
"listening PORT", "started PID", "exited STATUS", and "said WORDS", with | for newlines."""

import os
import select
import signal
import socket
import sys

address, folder, *command = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
listener = socket.socket(family, socket.SOCK_STREAM)
if family == socket.AF_INET6:
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind((address, 0))
listener.listen(128)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(folder + "/notify")
os.chmod(folder + "/notify", 0o777)
ended_read, ended_write = os.pipe()
os.set_blocking(ended_write, False)
signal.set_wakeup_fd(ended_write)
signal.signal(signal.SIGCHLD, lambda *_: None)
port = listener.getsockname()[1]
current = None


def say(*words):
    print(*words, flush=True)


def become_server():
    """As sd_listen_fds(3) wants it: descriptor 3, and the variable with the server's own pid."""
    os.dup2(listener.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="test")
    os.environ["NOTIFY_SOCKET"] = folder + "/notify"
    words = [word.replace("@PORT", str(port)) for word in command]
    os.execvpe(words[0], words, os.environ)


say("listening", port)
while True:
    ready, _, _ = select.select([sys.stdin, notify, ended_read], [], [])
    if notify in ready:
        say("said", notify.recv(4096).decode().replace("\n", "|"))
    elif ended_read in ready:
        os.read(ended_read, 100)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            say("exited", status)
    elif sys.stdin in ready:
        word = sys.stdin.readline().strip()
        if word == "start":
            current = os.fork()
            if current == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                become_server()
            say("started", current)
        elif word == "term":
            os.kill(current, signal.SIGTERM)
        elif word == "hup":
            os.kill(current, signal.SIGHUP)
        else:
            break
