/** The book of what was tracked and lost is strict itself: what it lets pass, no other test would see. */
import { expect, test } from "./support/world.ts";

test("an event that is both stored and reported as lost, a loss told twice, an event that is missing and a page that threw are found", async ({ world }) => {
  // given an event that is stored, and one that was evicted
  const page = await world.open();
  await world.track(page);
  await world.settled(page);
  await world.everyEventIsAccountedFor();
  const [stored] = world.trackedIds();
  await page.evaluate("client.destroy()");
  await world.begin(page, { consent: "pending", max_queue_events: 1 });
  await world.track(page, 2);
  await expect.poll(() => world.losses.length).toBe(1);
  const [evicted] = world.losses;
  await page.evaluate("client.optIn()");
  await world.settled(page);
  await world.everyEventIsAccountedFor(["evicted"]);
  // when the reports are wrong, then each of them is found
  const isWrong = (problem: string) => expect(world.everyEventIsAccountedFor(["evicted"])).rejects.toThrow(problem);
  world.losses.push({ ...evicted!, event_id: stored! });
  await isWrong("stored and reported as lost");
  world.losses[1] = evicted!;
  await isWrong("reported twice");
  world.losses.length = 0;
  await isWrong("missing");
  world.losses.push({ ...evicted!, outcome: "rejected" });
  await isWrong("lost for another reason");
  world.losses[0] = evicted!;
  await page.evaluate(() => void Promise.reject(new Error("thrown")));
  await expect.poll(() => world.problems).toEqual(["thrown"]);
  await isWrong("thrown into a page");
});
