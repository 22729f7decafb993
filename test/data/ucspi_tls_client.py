"""Races against a UCSPI-TLS service (ucspi_tls.c): ucspi_tls_client.py PORT COUNT AT_ONCE HOW [SEED]

HOW says what the client sends, and when:
  same      starttls and the ClientHello in one packet
  split     the same, cut anywhere into two packets
  after     the ClientHello at once when the answer has come, while the server waits for the request
  bytewise  the ClientHello so, one byte a packet
  injected  starttls, other lines and the ClientHello in one packet
  between   other lines behind the answer, and then the ClientHello
  garbage   starttls and plaintext without any ClientHello

Prints one line: how many sessions were good, refused, or bad, and says on stderr what was bad. Good:
within TLS came the answers to the lines sent within TLS, and nothing else. Refused: closed without
a byte of the service within TLS."""

import asyncio
import random
import socket
import ssl
import sys

INJECTED = b"injected one\ninjected two\n"
LIMIT = 30


class Refused(Exception):
    pass


class Session:
    def __init__(self, reader, writer, how, rng):
        self.reader, self.writer, self.how, self.rng = reader, writer, how, rng
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if rng.random() < 0.5:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    async def flush(self):
        data = self.outgoing.read()
        if data:
            self.writer.write(data)
            await self.writer.drain()

    async def call(self, function, *args):
        while True:
            try:
                result = function(*args)
                await self.flush()
                return result
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self.reader.read(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def hello(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    async def answer(self):
        line = await self.reader.readline()
        if line == b"":
            raise Refused("closed before the answer")
        if line != b"go\n":
            raise AssertionError("the answer was %r" % line)

    async def begin(self):
        hello, how, write = self.hello(), self.how, self.writer.write
        if how == "same":
            write(b"starttls\n" + hello)
        elif how == "split":
            data = b"starttls\n" + hello
            cut = self.rng.randrange(9, len(data))
            write(data[:cut])
            await self.answer()
            write(data[cut:])
            return
        elif how == "injected":
            write(b"starttls\n" + INJECTED + hello)
        elif how == "garbage":
            write(b"starttls\n" + INJECTED)
        else:
            write(b"starttls\n")
        await self.answer()
        if how == "after":
            write(hello)
        elif how == "bytewise":
            for at in range(len(hello)):
                write(hello[at:at + 1])
                await asyncio.sleep(0)
        elif how == "between":
            write(INJECTED)
            await asyncio.sleep(self.rng.random() * 0.004)
            write(hello)
        elif how == "garbage":
            self.writer.write_eof()

    async def talk(self):
        await self.begin()
        try:
            await self.call(self.tls.do_handshake)
        except (ssl.SSLError, ConnectionError) as error:
            raise Refused(str(error))
        word = b"line %d\n" % self.rng.randrange(1 << 30)
        await self.call(self.tls.write, word)
        got = b""
        while got.count(b"\n") < 1:
            try:
                more = await self.call(self.tls.read, 65536)
            except (ssl.SSLError, ConnectionError) as error:
                raise AssertionError("after %r: %s" % (got, error))
            if not more:
                raise AssertionError("closed after %r" % got)
            got += more
        if got != b"tls " + word:
            raise AssertionError("%r came for %r" % (got, word))


async def one(port, how, seed):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        await asyncio.wait_for(Session(reader, writer, how, random.Random(seed)).talk(), LIMIT)
        return "good"
    except (Refused, ConnectionError):
        return "refused"
    except (AssertionError, asyncio.TimeoutError) as error:
        print("session %d: %r" % (seed, error), file=sys.stderr)
        return "bad"
    finally:
        writer.close()


async def main(port, count, at_once, how, seed=1):
    tally = {"good": 0, "refused": 0, "bad": 0}
    seeds = iter(range(seed, seed + count))

    async def worker():
        for number in seeds:
            tally[await one(port, how, number)] += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    print(" ".join("%s=%d" % pair for pair in tally.items()))


port, count, at_once = map(int, sys.argv[1:4])
asyncio.run(main(port, count, at_once, sys.argv[4], int((sys.argv + ["1"])[5])))
