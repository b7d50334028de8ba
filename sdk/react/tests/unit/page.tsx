/** A page for the tests: React in a document, and the real client, whose events end in a list instead of a network. */
import type { AnalyticsClient, AnalyticsConfig, AnalyticsEvent } from "@openbiocure/analytics";
import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { useAnalytics } from "../../src/index.ts";

export const newConfig = (events: AnalyticsEvent[] = [], more: Partial<AnalyticsConfig> = {}): AnalyticsConfig => ({
  endpoint: "https://analytics.example/api/analytics",
  write_key: "wk_live_test",
  websocket_url: "",
  before_send: (event) => {
    events.push(event);
    return null;
  },
  ...more,
});

/** Notes every client that a render has seen. */
export const Witness = ({ seen }: { seen: Set<AnalyticsClient> }): null => {
  seen.add(useAnalytics());
  return null;
};

/** Whether a client runs is told by a module: it does while the client does. */
export const watch = (client: AnalyticsClient, log: string[] = []): string[] => {
  client.use(() => {
    log.push("begins");
    return () => log.push("ends");
  });
  return log;
};

export class Page {
  readonly element: HTMLElement = document.body.appendChild(document.createElement("main"));
  private readonly root: Root = createRoot(this.element);

  /** Renders, and lets every effect and what it left for a moment later happen. */
  async show(content: ReactNode): Promise<void> {
    await act(async () => this.root.render(content));
  }

  async close(): Promise<void> {
    await act(async () => this.root.unmount());
  }
}
