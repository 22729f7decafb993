"""Sends one message each over many SMTP sessions at once, with STARTTLS: smtp_many.py PORT COUNT

All sessions are within TLS before the first message is sent. Sizes differ; the server's answer has
the number of bytes that it received (smtpfront-echo of mailfront). Fails if a message is not whole."""

import random
import re
import smtplib
import ssl
import sys
import threading

port, count = int(sys.argv[1]), int(sys.argv[2])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
inside = threading.Barrier(count, timeout=60)
wrong = []


def session(number):
    try:
        size = random.Random(number).choice([0, 1, 1000, 16384, 100_000, 1_000_000])
        body = (b"%061d\r\n" % number) * (size // 63)
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
            smtp.starttls(context=context)
            smtp.ehlo("client")
            inside.wait()
            smtp.mail("a@example.org")
            smtp.rcpt("b@example.org")
            _, answer = smtp.data(body)
            got = int(re.search(rb"Received (\d+) bytes", answer).group(1))
            # smtplib ends an empty message with an empty line; mailfront counts without CR.
            sent = len(body.replace(b"\r\n", b"\n")) or 1
            if got != sent:
                wrong.append("session %d: %d bytes of %d" % (number, got, sent))
    except Exception as error:
        wrong.append("session %d: %r" % (number, error))


threads = [threading.Thread(target=session, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if wrong:
    sys.exit("\n".join(wrong[:10]))
