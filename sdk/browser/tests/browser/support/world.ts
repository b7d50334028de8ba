/** What every test has: the stack, a proxy before it, pages with the SDK, and a book of what was tracked and lost. */
import { test as base, type BrowserContext, expect, type Page } from "@playwright/test";
import type { AnalyticsClient, AnalyticsConfig, Loss, Stats } from "../../../src/types.ts";
import { FaultProxy } from "./proxy.ts";
import { Stack } from "./stack.ts";

interface Shop {
  client: AnalyticsClient;
  OpenBioCureAnalytics: new (config: AnalyticsConfig) => AnalyticsClient;
  noteTracked(n: number, id: string): void;
  noteLost(loss: Loss): void;
}

export class World {
  readonly eventName = `t_${Math.random().toString(36).slice(2)}`;
  readonly losses: Loss[] = [];
  /** What was thrown into a page. */
  readonly problems: string[] = [];
  private readonly numbers = new Map<string, number>();
  private next = 0;

  constructor(
    readonly stack: Stack,
    readonly proxy: FaultProxy,
    readonly context: BrowserContext,
  ) {}

  async prepare(): Promise<void> {
    await this.context.exposeFunction("noteTracked", (n: number, id: string) => void this.numbers.set(id, n));
    this.context.on("weberror", (problem) => this.problems.push(problem.error().message));
    await this.context.exposeFunction("noteLost", (loss: Loss) => void this.losses.push(loss));
  }

  /** A page with a client that runs. */
  async open(config: Partial<AnalyticsConfig> = {}): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.proxy.url);
    await this.begin(page, config);
    return page;
  }

  async begin(page: Page, config: Partial<AnalyticsConfig> = {}): Promise<void> {
    const all = { endpoint: this.proxy.url + "/api/analytics", write_key: this.stack.writeKey, flush_interval: 200, ...config };
    await page.evaluate(async (given) => {
      const shop = globalThis as unknown as Shop;
      shop.client = new shop.OpenBioCureAnalytics({
        ...given,
        before_send: (event) => {
          shop.noteTracked(event.properties["n"] as number, event.event_id);
          return event;
        },
        on_loss: (loss) => shop.noteLost(loss),
      });
      await shop.client.initialize();
    }, all);
  }

  /** Tracks events with new numbers. */
  async track(page: Page, count = 1, properties: object = {}, category?: string): Promise<void> {
    const first = this.next;
    this.next += count;
    await page.evaluate(
      ([name, from, to, more, category]) => {
        for (let n = from; n < to; n++) (globalThis as unknown as Shop).client.track(name, { n, ...more }, category);
      },
      [this.eventName, first, this.next, properties, category] as const,
    );
  }

  async stats(page: Page): Promise<Stats> {
    return page.evaluate(() => (globalThis as unknown as Shop).client.getStats());
  }

  async settled(page: Page, seconds = 40): Promise<void> {
    await expect.poll(async () => (await this.stats(page)).storageStats.eventCount, { timeout: seconds * 1_000 }).toBe(0);
  }

  /** The numbers of the events that were reported as lost, in the order of the reports. */
  numbersLost(outcome: Loss["outcome"]): (number | undefined)[] {
    return this.losses.filter((loss) => loss.outcome === outcome).map((loss) => this.numbers.get(loss.event_id));
  }

  /** The ids of the events that were queued, in the order of their tracking. */
  trackedIds(): string[] {
    return [...this.numbers.keys()];
  }

  get tracked(): number {
    return this.next;
  }

  /** Every tracked event is either in PostgreSQL exactly once, or was reported as lost exactly once, for one of these reasons. */
  async everyEventIsAccountedFor(allowed: Loss["outcome"][] = []): Promise<Map<number, number>> {
    const stored = await this.stack.stored(this.eventName);
    expect(this.problems, "thrown into a page").toEqual([]);
    expect(this.losses.filter((loss) => !allowed.includes(loss.outcome)), "lost for another reason").toEqual([]);
    const lost = new Map<string, number>();
    for (const { event_id } of this.losses) lost.set(event_id, (lost.get(event_id) ?? 0) + 1);
    // What consent or a rule forbids is refused before it has an id.
    const nameless = lost.get("") ?? 0;
    lost.delete("");
    expect([...lost].filter(([, times]) => times > 1), "reported twice").toEqual([]);
    const numbersLost = new Set([...lost.keys()].map((id) => this.numbers.get(id)));
    const numbers = Array.from({ length: this.next }, (_, n) => n);
    expect(numbers.filter((n) => (stored.get(n) ?? 0) > 1), "stored twice").toEqual([]);
    expect(numbers.filter((n) => stored.has(n) && numbersLost.has(n)), "stored and reported as lost").toEqual([]);
    expect(numbers.filter((n) => !stored.has(n) && !numbersLost.has(n)), "missing").toHaveLength(nameless);
    return stored;
  }
}

export const test = base.extend<{ world: World }>({
  world: async ({ context }, use) => {
    const stack = new Stack();
    const proxy = new FaultProxy(new URL(stack.url));
    await proxy.start();
    const world = new World(stack, proxy, context);
    await world.prepare();
    await use(world);
    await context.close();
    await proxy.stop();
  },
});

export { expect };
