"""One conversation with a UCSPI-TLS service: ucspi_tls_talk.py PORT < a JSON object

  plain    text to send in the clear, ""
  until    text to wait for in the clear, "go\\n"
  tls      how to go on: "yes", "no" (stay in the clear to the end), "bad" (plaintext where a
           ClientHello should be), "half" (a ClientHello cut off), "leave" (close), "silent"
  input    text to send within TLS
  half     true: then FIN
  rate     bytes per second to read in the clear

Prints a JSON object: plain and tls, what came so; end: close_notify, eof, reset, or why there was no
handshake. Reads to the end; every wait has a limit."""

import json
import socket
import ssl
import sys
import time

ask = {"plain": "", "until": "go\n", "tls": "yes", "input": "", "half": False, "rate": 0}
ask.update(json.load(sys.stdin))
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sock.settimeout(30)
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
told = {"plain": "", "tls": "", "end": ""}


def read_to_end(one):
    got = b""
    try:
        while True:
            more = one.recv(65536)
            if not more:
                return got, "close_notify" if isinstance(one, ssl.SSLSocket) else "eof"
            got += more
    except ssl.SSLEOFError:
        return got, "eof"
    except ConnectionError:
        return got, "reset"
    except ssl.SSLError as error:
        return got, str(error)


def plain():
    """To the end of `until`: within TLS the server says nothing before it has a ClientHello."""
    got = b""
    while not got.endswith(ask["until"].encode()):
        more = sock.recv(65536)
        if not more:
            break
        got += more
        if ask["rate"]:
            time.sleep(len(more) / ask["rate"])
    return got


sock.sendall(ask["plain"].encode())
how = ask["tls"]
if how == "no":
    got, told["end"] = read_to_end(sock)
    told["plain"] = got.decode("latin1")
else:
    told["plain"] = plain().decode("latin1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if how == "yes":
        try:
            tls = context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False)
            tls.sendall(ask["input"].encode())
            if ask["half"]:
                socket.socket.shutdown(tls, socket.SHUT_WR)
            got, told["end"] = read_to_end(tls)
            told["tls"] = got.decode("latin1")
        except (ssl.SSLError, ConnectionError) as error:
            told["end"] = "no handshake: %s" % error
    elif how == "leave":
        sock.close()
    else:
        if how == "bad":
            sock.sendall(b"this is no ClientHello\r\n")
        elif how == "half":
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
            sock.shutdown(socket.SHUT_WR)
        got, told["end"] = read_to_end(sock)
        told["tls"] = got.decode("latin1")
print(json.dumps(told))
