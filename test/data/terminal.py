"""Runs a command on a terminal and plays its user.

terminal.py DIALOGUE COMMAND...: DIALOGUE is JSON, a list of [wait, type]: waits until the terminal shows
the first text after what was seen before, then types the second. At the end it waits until the command has
ended. Prints all that the terminal showed; exits with 1 after 20 s without the awaited text, else with the
command's status."""

import json
import os
import pty
import select
import sys
import time

dialogue, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
shown = b""
begin = 0


def read_until(text):
    global shown, begin
    deadline = time.monotonic() + 20
    while text is None or text not in shown[begin:]:
        if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            sys.stdout.buffer.write(shown)
            sys.exit(1)
        try:
            part = os.read(terminal, 4096)
        except OSError:
            part = b""
        if not part:
            return
        shown += part
    begin = shown.index(text, begin) + len(text)


for wait, typed in dialogue:
    read_until(wait.encode())
    os.write(terminal, typed.encode())
read_until(None)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(status)
