/** The public types: what a page configures, what an event is, and how a module hooks in. */

import type { AutocaptureOptions } from "./modules/autocapture/index.ts";
import type { EngagementOptions } from "./modules/engagement/index.ts";
import type { ErrorsOptions } from "./modules/errors/index.ts";
import type { WebVitalsOptions } from "./modules/web-vitals.ts";

/** Property values; what JSON cannot say (functions, cycles, BigInt) is refused or left out. */
export type Properties = Record<string, unknown>;

/** `pending`: not asked yet; events are kept in memory only, and stored and sent once it is `granted`. */
export type ConsentState = "granted" | "denied" | "pending";

export interface DeviceInfo {
  screen_width?: number;
  screen_height?: number;
  viewport_width?: number;
  viewport_height?: number;
  device_type?: "desktop" | "tablet" | "mobile";
  browser?: string;
  browser_version?: string;
  os?: string;
  os_version?: string;
  language?: string;
  timezone?: string;
}

/** One event as the server takes it (docs/events.md). */
export interface AnalyticsEvent {
  event_id: string;
  event_name: string;
  event_category: string;
  /** Unix milliseconds. */
  timestamp: number;
  properties: Properties;
  tenant_id?: string | undefined;
  user_id?: string | undefined;
  anonymous_id?: string | undefined;
  session_id?: string | undefined;
  page_url?: string | undefined;
  referrer?: string | undefined;
  user_agent?: string | undefined;
  device_info?: DeviceInfo | undefined;
  correlation_id?: string | undefined;
}

/** The tenant's rules that the server pushes; they hold at once. */
export interface TenantRules {
  enabled: boolean;
  tracking_level: "minimal" | "standard" | "detailed";
  excluded_events: string[];
  sampling_rate: number;
  real_time_enabled?: boolean;
  version?: number;
}

/** What became of an event that was not stored. `code` is the server's, or says what the browser knows (`consent`, `before_send`), else it is the outcome. */
export interface Loss {
  event_id: string;
  outcome: "dropped" | "rejected" | "evicted" | "refused";
  code: string;
  field?: string | undefined;
  message?: string | undefined;
}

export interface AnalyticsConfig {
  /** Base of the REST API; `batch_path` is appended. The seed's form: `https://host/api/analytics`. */
  endpoint: string;
  /** A write key (`wk_...`): public, may only send events. It is never stored. */
  write_key: string;
  /** Default `/batch`; e.g. `/v1/events:batch` with an `endpoint` that is the bare origin. */
  batch_path?: string;
  /** Default: `/v1/stream` on the endpoint's host. An empty string = REST only. */
  websocket_url?: string;
  /** Most events of one batch, default 50. */
  batch_size?: number;
  /** How long an event waits for company over REST, milliseconds; default 30,000. */
  flush_interval?: number;
  /** Failed WebSocket connections in a row before REST is used, default 3. Nothing is ever given up. */
  max_retries?: number;
  /** Says on the console what is wrong. */
  enable_debug?: boolean;
  /** The tenant of the key; when given, it must be. */
  tenant_id?: string;
  /** The signed-in user; `identify` sets it later. */
  user_id?: string;
  /** Most events queued, default 10,000. */
  max_queue_events?: number;
  /** Most bytes queued, default 2 MB. */
  max_queue_bytes?: number;
  /** Categories that are evicted first, default `autocapture`, `performance`, `engagement`. */
  low_priority?: string[];
  /** What holds until `setConsent`: default `granted`, with `cookieless` `pending`. */
  consent?: ConsentState;
  /** Store nothing and give the device no id until consent is `granted`; events are sent from memory meanwhile. */
  cookieless?: boolean;
  /** Obey the browser's Global Privacy Control, default true. */
  respect_gpc?: boolean;
  /** Obey the browser's Do Not Track, default true. */
  respect_dnt?: boolean;
  /** Changes an event before it is queued, or answers null to leave it out. One that throws leaves it out. */
  before_send?: (event: AnalyticsEvent) => AnalyticsEvent | null;
  /** Told of every event that will not be stored, and why. */
  on_loss?: (loss: Loss) => void;
  /** Lazy modules by name, with their options: `{ autocapture: true, "web-vitals": true }`. */
  modules?: { [name in ModuleName]?: boolean | ModuleOptions[name] };
}

/** What each lazy module can be told. */
export interface ModuleOptions {
  autocapture: AutocaptureOptions;
  "web-vitals": WebVitalsOptions;
  errors: ErrorsOptions;
  engagement: EngagementOptions;
}

export type ModuleName = keyof ModuleOptions;
export type { AutocaptureOptions, EngagementOptions, ErrorsOptions, WebVitalsOptions };

export interface Stats {
  /** What this tab knows to be queued. */
  storageStats: { eventCount: number; storageSize: number };
  connectionStatus: "connected" | "disconnected" | "connecting";
  /** Events sent and not acknowledged yet. */
  batchSize: number;
  /** Events that `track` took in this tab. */
  tracked: number;
  /** Counted by the tab that sends: stored now, and stored by an earlier try. */
  accepted: number;
  duplicate: number;
  /** Left out by a rule of the tenant. */
  dropped: number;
  /** Bad data; never sent again. */
  rejected: number;
  /** Given up because the queue was full. */
  evicted: number;
  /** Not taken, or taken back, because consent is denied. */
  refused: number;
}

/** What a module may use of the client. */
export interface ModuleHost {
  track(name: string, properties?: Properties, category?: string): void;
  trackError(error: unknown, context?: Properties): void;
  trackPerformance(metric: string, value: number, properties?: Properties): void;
  /** Called with the tenant's rules now, if they are known, and at every change. Answers what ends that. */
  onConfig(listener: (rules: TenantRules) => void): () => void;
  /** A line on the console when `enable_debug` is set. */
  debug(...words: unknown[]): void;
}

/**
 * A module: started with the client and its own options, answers what tears it down. `destroy()` and withdrawn consent
 * call that exactly once. Events it tracks while the page is being hidden or closed are still handed over.
 */
export type Module = (host: ModuleHost, options: unknown) => (() => void) | void;

/** The public surface of `OpenBioCureAnalytics`. */
export interface AnalyticsClient extends ModuleHost {
  readonly config: AnalyticsConfig;
  /** Begins delivery, with what earlier pages left. Events tracked before are kept in memory. */
  initialize(): Promise<void>;
  trackPageView(page_name: string, properties?: Properties): void;
  trackAction(action_name: string, element_type: string, element_id: string, properties?: Properties): void;
  /** From now on events are this user's; also an event `identify` with the traits. */
  identify(user_id: string, traits?: Properties): void;
  /** The user has signed out: a new device id, a new session, no user, no super properties. */
  reset(): void;
  /** Super properties: go with every event from now on. */
  register(properties: Properties): void;
  setConsent(state: ConsentState): void;
  /** What holds now: the browser's own signal, else the visitor's decision, else `consent` of the configuration. */
  getConsent(): ConsentState;
  optIn(): void;
  optOut(): void;
  /** Tries to deliver everything now; true when everything has its result within the time, default 5,000 ms. */
  flush(milliseconds?: number): Promise<boolean>;
  /** Adds a module; it runs while the client does, unless consent is denied. */
  use(module: Module, options?: unknown): void;
  getStats(): Stats;
  /** Ends every timer, connection and listener. What is queued stays; `initialize` begins again. */
  destroy(): void;
}

/** Loads the files that lie beside the core. */
export interface LazyFiles {
  module_(name: ModuleName): Promise<{ default: Module }>;
  fallback_(): Promise<typeof import("./fallback/index.ts")>;
  device_(): Promise<typeof import("./device/index.ts")>;
}
export type LoadFallback = LazyFiles["fallback_"];
