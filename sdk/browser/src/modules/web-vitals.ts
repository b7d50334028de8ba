/**
 * Core Web Vitals by Google's library: CLS, INP, LCP, FCP and TTFB, each once per page load, and once more per return
 * from the back/forward cache. It cannot be told to end, so it is begun once per page, for whoever runs then.
 */
import { type MetricType, onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";
import type { Module, ModuleHost } from "../types.ts";

export interface WebVitalsOptions {
  /** Which are sent, default all: `["LCP", "INP"]`. */
  metrics?: ("CLS" | "FCP" | "INP" | "LCP" | "TTFB")[];
}

type Receiver = (metric: MetricType) => void;

const receivers = new Set<Receiver>();
/** The last of each, for a client that comes later: a page in a strict framework begins twice. */
const known = new Map<string, MetricType>();
/** Ids that a client has sent. What grows after the page was hidden once is not sent again: each is one measurement. */
const sentBy = new WeakMap<ModuleHost, Set<string>>();
let begun = false;

const begin = () => {
  begun = true;
  const hear = (metric: MetricType) => {
    if (!receivers.size) return; // nobody may measure now
    known.set(metric.name, metric);
    receivers.forEach((receive) => receive(metric));
  };
  [onCLS, onFCP, onINP, onLCP, onTTFB].forEach((on) => on(hear));
};

/** Milliseconds to a tenth, shifts to a ten-thousandth: what is beyond is noise. */
const rounded = ({ name, value }: MetricType) => (name === "CLS" ? Math.round(value * 1e4) / 1e4 : Math.round(value * 10) / 10);

const webVitals: Module = (host, options) => {
  if (!globalThis.document) return;
  const { metrics } = Object(options) as WebVitalsOptions;
  const sent = sentBy.get(host) ?? new Set();
  sentBy.set(host, sent);
  const receive: Receiver = (metric) => {
    const { name, id, rating, navigationType: navigation_type } = metric;
    if (sent.has(id) || (metrics && !metrics.includes(name))) return;
    sent.add(id);
    host.trackPerformance(name, rounded(metric), {
      unit: name === "CLS" ? "score" : "ms",
      rating,
      metric_id: id,
      navigation_type,
    });
  };
  receivers.add(receive);
  if (begun) known.forEach(receive);
  else begin();
  return () => void receivers.delete(receive);
};

export default webVitals;
