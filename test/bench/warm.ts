/** Servers that are started and warmed up once, and then measured by several sections in turn. They all run
 *  at the same time, so that other load of the machine affects all of them equally. */

import { attempt, launch, type Pass, turned, warmUp } from "./measure.ts";
import type { Tools } from "./prepare.ts";
import type { Running } from "./process.ts";
import type { Section } from "./sections.ts";
import type { Subject } from "./servers.ts";

/** What the measurements report to. */
export interface Progress {
  say(text: string): void;
  /** A new round of one server in one section. */
  next(section: Section, subject: Subject): Pass;
  /** True when there is no time for another measurement. */
  expired(): boolean;
  /** A section is complete. */
  done(section: Section): void;
}

/** Measures sections that share their warm servers. A server that fails in one section is left out of the
 *  rest of it, and measured by the next section. */
export async function measureWarm(
  tools: Tools,
  sections: readonly Section[],
  progress: Progress,
): Promise<void> {
  const running = new Map<Subject, Running>();
  try {
    for (const subject of new Set(sections.flatMap(({ subjects }) => subjects))) {
      progress.say(`start and warm up ${subject.name}`);
      try {
        const server = await launch(tools, subject);
        running.set(subject, server);
        await warmUp(tools, subject, server);
      } catch (error) {
        for (const section of sections.filter(({ subjects }) => subjects.includes(subject))) {
          progress.next(section, subject).note((error as Error).message);
        }
      }
    }
    for (const section of sections) {
      await measureTurns(section, running, progress);
      progress.done(section);
    }
  } finally {
    await Promise.all([...running.values()].map((server) => server.stop()));
  }
}

/** Measures one section with the servers that run. */
export async function measureTurns(
  section: Section,
  running: ReadonlyMap<Subject, Running>,
  { say, next, expired }: Progress,
): Promise<void> {
  const { warm } = section;
  if (!warm) return;
  const failed = new Set<Subject>();
  const alive = section.subjects.filter((subject) => running.has(subject));
  for (let turn = 0; turn < warm.turns; turn++) {
    const passes = turned(alive, turn)
      .filter(({ peer }) => !peer || turn < warm.peerTurns)
      .map((subject) => next(section, subject));
    say(`${section.title}, turn ${turn + 1}`);
    for (const step of warm.steps) {
      for (const pass of passes) {
        const server = running.get(pass.subject);
        if (!server || failed.has(pass.subject)) continue;
        if (expired()) pass.note("left out, time was up");
        else if (!await attempt(pass, () => step(pass, server))) failed.add(pass.subject);
      }
    }
  }
}
