import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleWatch, type Watched } from "../../src/program/idle.ts";

/** Somebody who is found silent once, `told` milliseconds after it was last heard. */
function somebody(idle: IdleWatch): Watched & { told: Promise<number> } {
  const { promise, resolve } = Promise.withResolvers<number>();
  const one = {
    last: idle.now(),
    told: promise,
    silent(): void {
      idle.forget(one);
      resolve(idle.now() - one.last);
    },
  };
  idle.add(one);
  return one;
}

test("who is silent is told after the limit, each at its own time", async () => {
  const idle = new IdleWatch(0.2);
  const first = somebody(idle);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const second = somebody(idle);
  for (const late of [await first.told, await second.told]) {
    assert.ok(late >= 199 && late < 1000, `${late} ms`);
  }
});

test("who is heard now and then is not told", async () => {
  const idle = new IdleWatch(0.2);
  const heard = somebody(idle);
  const speak = setInterval(() => heard.last = idle.now(), 20);
  const silent = somebody(idle);
  await silent.told;
  let told = false;
  void heard.told.then(() => told = true);
  await somebody(idle).told;
  assert.equal(told, false);
  clearInterval(speak);
  assert.ok(await heard.told >= 199);
});

test("who has been heard after all is told again a limit later", async () => {
  const idle = new IdleWatch(0.1);
  const begun = idle.now();
  let times = 0;
  await new Promise<void>((resolve) => {
    const one: Watched = {
      last: begun,
      silent() {
        if (++times === 1) one.last = idle.now();
        else {
          idle.forget(one);
          resolve();
        }
      },
    };
    idle.add(one);
  });
  assert.ok(idle.now() - begun >= 199);
});
