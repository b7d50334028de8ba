/** The configuration with every default filled in. */
import type { AnalyticsConfig } from "./types.ts";

export interface Options extends AnalyticsConfig {
  batch_url: string;
  websocket_url: string;
  batch_size: number;
  flush_interval: number;
  max_retries: number;
  max_queue_events: number;
  max_queue_bytes: number;
  low_priority: string[];
}

/** An `endpoint` that is no address is reported and leads nowhere; events stay queued. */
export const withDefaults = (config: AnalyticsConfig, report: (field: string, problem: unknown) => void): Options => {
  let base = { href: "", origin: "" };
  try {
    base = new URL(config.endpoint, globalThis.location?.href);
  } catch (error) {
    report("endpoint", error);
  }
  const defaults: Partial<Options> = {
    batch_path: "/batch",
    batch_size: 50,
    flush_interval: 30_000,
    max_retries: 3,
    max_queue_events: 10_000,
    max_queue_bytes: 2_000_000,
    low_priority: ["autocapture", "performance", "engagement"],
    websocket_url: base.origin.replace("http", "ws") + "/v1/stream",
  };
  const options: Record<string, unknown> = { ...config };
  // A setting that is there but undefined is none.
  for (const name in defaults) options[name] ??= defaults[name as keyof Options];
  options["batch_url"] = base.href.replace(/\/$/, "") + options["batch_path"];
  return options as unknown as Options;
};

/** Whose queue, session and device it is, among all on this origin. The key itself is never written down. */
export const storageName = ({ tenant_id, write_key }: Options): string => {
  const hash = [...`${write_key}`].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1e9, 0);
  return `obc_${tenant_id ?? hash}_`;
};
