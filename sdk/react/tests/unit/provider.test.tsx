// @vitest-environment happy-dom
/** One client per provider: seed defect 11, a new client at every render. */
import { OpenBioCureAnalytics, type AnalyticsClient, type AnalyticsEvent } from "@openbiocure/analytics";
import { StrictMode, useEffect } from "react";
import { expect, test } from "vitest";
import { AnalyticsProvider, useAnalytics } from "../../src/index.ts";
import { newConfig, Page, watch, Witness } from "./page.tsx";

const only = (seen: Set<AnalyticsClient>): AnalyticsClient => {
  expect(seen.size).toBe(1);
  return [...seen][0]!;
};

test("defect 11: a provider that is rendered again, with a config of the same content, keeps its client", async () => {
  // given a provider whose config is made at every render
  const page = new Page();
  const seen = new Set<AnalyticsClient>();
  const content = () => (
    <StrictMode>
      <AnalyticsProvider config={newConfig()}>
        <Witness seen={seen} />
      </AnalyticsProvider>
    </StrictMode>
  );
  // when it is rendered three times
  await page.show(content());
  const log = watch(only(seen));
  await page.show(content());
  await page.show(content());
  // then there is one client, and it has run all the time
  expect(log).toEqual(["begins"]);
  only(seen);
  await page.close();
});

test("a client runs while its provider is mounted, under StrictMode too", async () => {
  const page = new Page();
  const seen = new Set<AnalyticsClient>();
  await page.show(
    <StrictMode>
      <AnalyticsProvider config={newConfig()}>
        <Witness seen={seen} />
      </AnalyticsProvider>
    </StrictMode>,
  );
  const log = watch(only(seen));
  expect(log).toEqual(["begins"]);
  await page.close();
  expect(log).toEqual(["begins", "ends"]);
});

test("what a component tracks while it is unmounted is tracked before the client ends", async () => {
  // given a component that says goodbye
  const page = new Page();
  const log: string[] = [];
  const events: AnalyticsEvent[] = [];
  const Leaving = () => {
    const analytics = useAnalytics();
    useEffect(
      () => () => {
        analytics.track("left");
        log.push(`tracked ${events.at(-1)?.event_name}`);
      },
      [analytics],
    );
    return null;
  };
  const seen = new Set<AnalyticsClient>();
  await page.show(
    <AnalyticsProvider config={newConfig(events)}>
      <Witness seen={seen} />
      <Leaving />
    </AnalyticsProvider>,
  );
  watch(only(seen), log);
  // when everything goes at once
  await page.close();
  // then
  expect(log).toEqual(["begins", "tracked left", "ends"]);
});

test("another destination is another client, and the old one ends", async () => {
  const page = new Page();
  const seen = new Set<AnalyticsClient>();
  const content = (write_key: string) => (
    <AnalyticsProvider config={newConfig([], { write_key })}>
      <Witness seen={seen} />
    </AnalyticsProvider>
  );
  await page.show(content("wk_live_one"));
  const log = watch(only(seen));
  await page.show(content("wk_live_two"));
  expect(seen.size).toBe(2);
  expect(log).toEqual(["begins", "ends"]);
  expect(watch([...seen][1]!)).toEqual(["begins"]);
  await page.close();
});

test("who signs in is identified once, and who signs out is forgotten", async () => {
  // given a visitor
  const page = new Page();
  const seen = new Set<AnalyticsClient>();
  const events: AnalyticsEvent[] = [];
  const content = (user_id?: string) => (
    <StrictMode>
      <AnalyticsProvider config={newConfig(events, user_id === undefined ? {} : { user_id })}>
        <Witness seen={seen} />
      </AnalyticsProvider>
    </StrictMode>
  );
  await page.show(content());
  // when the visitor signs in, is rendered again, and signs out
  await page.show(content("user-17"));
  await page.show(content("user-17"));
  only(seen).track("signed in");
  await page.show(content(""));
  only(seen).track("signed out");
  // then
  expect(events.map(({ event_name, user_id }) => [event_name, user_id])).toEqual([
    ["identify", "user-17"],
    ["signed in", "user-17"],
    ["signed out", undefined],
  ]);
  expect(events[2]!.anonymous_id).not.toBe(events[1]!.anonymous_id);
  await page.close();
});

test("a client that is given belongs to whoever gives it", async () => {
  // given a client that was not begun
  const page = new Page();
  const client = new OpenBioCureAnalytics(newConfig());
  const log = watch(client);
  const seen = new Set<AnalyticsClient>();
  // when it is shown and then taken away
  await page.show(
    <AnalyticsProvider client={client}>
      <Witness seen={seen} />
    </AnalyticsProvider>,
  );
  expect(only(seen)).toBe(client);
  expect(log).toEqual([]);
  await client.initialize();
  await page.close();
  // then it still runs
  expect(log).toEqual(["begins"]);
  client.destroy();
});
