/** The plain phase of UCSPI-TLS over streams in memory: which side gets which bytes, and when the phase
 *  ends. */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { concat, latin1 } from "../../src/codec/bytes.ts";
import { IdleTimer } from "../../src/program/idle.ts";
import { HandshakeError } from "../../src/runtime/runtime.ts";
import { bytes, turn } from "../fake_streams.ts";
import { begin, HELLO } from "./plain_phase.ts";

test("output written before y reaches the client before the plain phase is over", async () => {
  const phase = begin();
  await turn();
  phase.output.pause(); // the server sees the request before the output
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  await turn();
  assertStrictEquals(phase.result, undefined);
  phase.output.resume();
  assertStrictEquals(await phase.hello(), "");
  assertStrictEquals(phase.client.output.text, "220 go\r\n");
});

test("output still in the runtime when y arrives is sent before TLS", async () => {
  const phase = begin();
  await turn();
  phase.client.output.full = true;
  setImmediate(() => phase.output.put("220 go\r\n"));
  phase.control.put("y");
  for (let turns = 0; turns < 5; turns++) await turn();
  assertStrictEquals(phase.result, undefined);
  phase.client.drain();
  assertStrictEquals(await phase.hello(), "");
  assertStrictEquals(phase.client.output.text, "220 go\r\n");
});

test("y and Y are distinguished, and Y asks for the environment", async () => {
  for (const letter of ["y", "Y", "Y\n"]) {
    const phase = begin();
    phase.control.put(letter);
    assertEquals(await phase.done, {
      request: { environment: letter !== "y", hello: new Uint8Array(0) },
    });
  }
});

test("after the plain phase the pipe is closed, the client paused, and nothing is lost", async () => {
  const phase = begin();
  phase.control.put("y");
  await phase.done;
  assert(phase.input.destroyed);
  let late = "";
  phase.client.take({ data: (chunk) => late += latin1(chunk) });
  phase.client.put(HELLO);
  await turn();
  assertStrictEquals(late, "");
  phase.client.resume();
  await turn();
  assertStrictEquals(late, latin1(HELLO));
  assertStrictEquals(phase.input.text, "");
});

test("a hello in the same chunk as STARTTLS is found, split anywhere around the answer", async () => {
  const sent = concat([bytes("STARTTLS\r\n"), HELLO]);
  for (let first = "STARTTLS\r\n".length; first <= sent.length; first++) {
    for (let second = first; second <= sent.length; second++) {
      const phase = begin();
      await turn();
      phase.client.put(sent.subarray(0, first));
      phase.output.put("220 go\r\n");
      if (second > first) phase.client.put(sent.subarray(first, second));
      phase.control.put("y");
      const hello = await phase.hello();
      let rest = "";
      phase.client.take({ data: (chunk) => rest += latin1(chunk) });
      phase.client.put(sent.subarray(second));
      phase.client.resume();
      await turn();
      assertStrictEquals(hello + rest, latin1(HELLO), `cut at ${first} and ${second}`);
    }
  }
});

test("a hello that comes byte by byte, after the answer and before y, is found", async () => {
  const phase = begin();
  await turn();
  phase.client.put("STARTTLS\r\n");
  phase.output.put("220-go\r\n");
  phase.output.put("220 now\r\n");
  for (const byte of HELLO) phase.client.put(Uint8Array.of(byte));
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), latin1(HELLO));
});

test("a hello is found if the program answers nothing", async () => {
  const phase = begin();
  await turn();
  phase.client.put(concat([bytes("start tls\n"), HELLO]));
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), latin1(HELLO));
});

test("plaintext sent ahead is never handed on as the beginning of TLS", async () => {
  for (
    const injected of [
      "RSET\r\n",
      "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
      "\x16",
      "\x16\x16\x03",
      "x\x16\x03\x01\x00\x05hello",
      "\x17\x03\x03\x00\x05hello\r\n",
    ]
  ) {
    for (const slot of ["before", "after"]) {
      const phase = begin();
      await turn();
      phase.client.put(slot === "before" ? `STARTTLS\r\n${injected}` : "STARTTLS\r\n");
      phase.output.put("220 go\r\n");
      if (slot === "after") phase.client.put(injected);
      phase.control.put("y");
      const hello = await phase.hello();
      // A lone byte 22 may begin a ClientHello: only that byte and what follows go to the TLS library.
      assertStrictEquals(
        hello,
        injected === "\x16" ? "\x16" : "",
        JSON.stringify([injected, slot]),
      );
    }
  }
});

test("a hello behind injected plaintext comes without the plaintext", async () => {
  const phase = begin();
  await turn();
  phase.client.put(concat([bytes("STARTTLS\r\nRSET\r\n"), HELLO]));
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), latin1(HELLO));
});

test("plaintext of earlier rounds that looks like a hello is forgotten", async () => {
  const phase = begin();
  await turn();
  phase.client.put(HELLO);
  phase.output.put("500 what\r\n");
  phase.client.put("STARTTLS\r\n");
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), "");
});

test("more than 64 KB ahead of the answer are not remembered", async () => {
  const phase = begin();
  await turn();
  phase.client.put(new Uint8Array(70_000).fill(0x16));
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), "");
});

test("a second request of a program is ignored", async () => {
  for (const letters of [["yY"], ["y", "Y"], ["y", "y"]]) {
    const phase = begin();
    for (const letter of letters) phase.control.put(letter);
    assertEquals(await phase.done, {
      request: { environment: false, hello: new Uint8Array(0) },
    });
  }
});

test("closing descriptor 1 right after y does not end the client's data", async () => {
  for (const order of ["y first", "end first"]) {
    const phase = begin();
    await turn();
    if (order === "end first") phase.output.put(null);
    phase.control.put("y");
    if (order === "y first") phase.output.put(null);
    assertStrictEquals(await phase.hello(), "");
    assertStrictEquals(phase.client.output.ended, false, order);
  }
});

test("closing descriptor 1 long before y does not end the client's data", async () => {
  const phase = begin();
  await turn();
  phase.output.put("220 go\r\n");
  phase.output.put(null);
  await turn();
  await turn();
  assertStrictEquals(phase.client.output.ended, false);
  phase.control.put("y");
  assertStrictEquals(await phase.hello(), "");
  assertStrictEquals(phase.client.output.text, "220 go\r\n");
});

test("a program that never asks for TLS is served in the clear to its end", async () => {
  const phase = begin({ banner: "welcome\n" });
  await turn();
  phase.client.put("ping\n");
  phase.output.put("pong\n");
  phase.die(256);
  assertEquals(await phase.done, { status: 256 });
  assertStrictEquals(phase.input.text, "ping\n");
  assertStrictEquals(phase.client.output.text, "welcome\npong\n");
  assert(phase.client.output.ended);
});

test("a program that closes the control socket is still served in the clear", async () => {
  const phase = begin();
  await turn();
  phase.control.put(null);
  await turn();
  assert(phase.control.destroyed);
  phase.output.put("still here\n");
  phase.output.put(null);
  await turn();
  assert(phase.client.output.ended, "the end of fd 1 is told at once: nothing can follow it");
  phase.exit(0);
  assertEquals(await phase.done, { status: 0 });
  assertStrictEquals(phase.client.output.text, "still here\n");
});

test("another letter closes the control socket, both ways", async () => {
  const phase = begin();
  await turn();
  phase.control.put("Q");
  await turn();
  assert(phase.control.destroyed && phase.answer.destroyed);
  phase.die(0);
  assertEquals(await phase.done, { status: 0 });
});

test("y counts also if the program dies after it", async () => {
  const phase = begin();
  await turn();
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  phase.die(9);
  assertStrictEquals(await phase.hello(), "");
  assertStrictEquals(phase.client.output.text, "220 go\r\n");
  assertStrictEquals(phase.client.output.ended, false);
});

test("y counts also if the program dies before it arrives", async () => {
  const phase = begin();
  await turn();
  phase.control.pause();
  phase.control.put("y");
  phase.die(9);
  await turn();
  await turn();
  assertStrictEquals(phase.client.output.ended, false);
  phase.control.resume();
  assertStrictEquals(await phase.hello(), "");
});

test("a child that keeps the control socket open does not delay the client", async () => {
  const phase = begin();
  await turn();
  phase.output.put(null);
  phase.exit(0);
  assertEquals(await phase.done, { status: 0 });
  assert(phase.client.output.ended);
});

test("a slow client gets all of the output before TLS begins", async () => {
  const phase = begin();
  await turn();
  phase.client.output.full = true;
  phase.output.put("220 a long\r\n"); // the client's queue is full from now on
  phase.output.put("and slow answer\r\n");
  phase.control.put("y");
  phase.output.put(null);
  for (let turns = 0; turns < 5; turns++) await turn();
  assertStrictEquals(phase.result, undefined);
  phase.client.drain();
  assertStrictEquals(await phase.hello(), "");
  assertStrictEquals(phase.client.output.text, "220 a long\r\nand slow answer\r\n");
  assertStrictEquals(phase.client.output.ended, false);
});

test("the last output is sent before TLS, also if the pipe is empty", async () => {
  const phase = begin();
  await turn();
  phase.client.output.full = true;
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  for (let turns = 0; turns < 5; turns++) await turn();
  assertStrictEquals(phase.result, undefined);
  phase.client.drain();
  assertStrictEquals(await phase.hello(), "");
});

test("output after TLS has begun does not reach the client", async () => {
  const phase = begin();
  phase.control.put("y");
  await phase.done;
  phase.output.put("in the clear\n");
  phase.output.put(null);
  await turn();
  assertStrictEquals(phase.client.output.text, "");
  assertStrictEquals(phase.client.output.ended, false);
});

test("a program that never stops writing after y does not keep TLS from beginning", async () => {
  const phase = begin();
  await turn();
  phase.control.put("y");
  phase.output.endless = true;
  let written = 0;
  while (phase.result === undefined && written < 1000) {
    phase.output.put(new Uint8Array(65_536));
    written++;
    await turn();
  }
  assert(written < 100, `${written} chunks of 64 KB went through`);
  assertStrictEquals(await phase.hello(), "");
});

test("a program that asks for TLS after its client has gone gets a failed handshake", async () => {
  const phase = begin();
  await turn();
  phase.client.lose(new Error("reset"));
  assertStrictEquals(phase.gone, 1);
  assert(phase.input.ended);
  phase.control.put("y");
  await phase.done;
  assert(phase.result instanceof HandshakeError);
});

test("a client that leaves while its output waits ends the wait", async () => {
  const phase = begin();
  await turn();
  phase.client.output.full = true;
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  await turn();
  phase.client.lose();
  await phase.done;
  assert(phase.result instanceof HandshakeError);
});

test("a client that has ended its data gets its output, and no TLS", async () => {
  const phase = begin();
  await turn();
  phase.client.put("STARTTLS\r\n");
  phase.client.put(null);
  phase.output.put("220 go\r\n");
  phase.control.put("y");
  await phase.done;
  assert(phase.result instanceof HandshakeError);
  assertStrictEquals(phase.client.output.text, "220 go\r\n");
});

test("an idle connection ends by SIGTERM, also in the plain phase", async () => {
  const phase = begin({ idle: new IdleTimer(0.01) });
  while (phase.killed.length === 0) await turn();
  assertEquals(phase.killed, ["SIGTERM"]);
  assert(phase.client.output.ended);
  phase.die(15);
  assertEquals(await phase.done, { status: 15 });
});
