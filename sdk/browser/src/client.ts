/** The client: takes events, obeys consent and the tenant's rules, and owns everything that runs. */
import { createDelivery } from "./delivery.ts";
import { makeEvent, page } from "./event.ts";
import { createCells } from "./identity/cells.ts";
import { createConsent } from "./identity/consent.ts";
import { isUserId, superProperties } from "./identity/person.ts";
import { storageName, withDefaults } from "./options.ts";
import { bytesOf, encode, MAX_EVENT_BYTES } from "./queue/entry.ts";
import { State } from "./queue/queue.ts";
import { leftOutBy } from "./rules.ts";
import type {
  AnalyticsClient, AnalyticsConfig, ConsentState, DeviceInfo, LazyFiles, Loss, Module, ModuleName, Properties, TenantRules,
} from "./types.ts";

/** So long after a page was left, what is tracked is handed over at once: modules sum up then. */
const MOMENT = 1_000;

export const createClient = (config: AnalyticsConfig, lazy: LazyFiles): AnalyticsClient => {
  const debug = (...words: unknown[]) => {
    if (config.enable_debug) console.warn("[analytics]", ...words);
  };
  // Not on a server that renders pages: there, nothing happens.
  const inBrowser = page() || "WorkerGlobalScope" in globalThis;
  const options = withDefaults(config, debug);
  const name = storageName(options);
  const consent = createConsent(config, name);
  const mayStore = () => inBrowser && consent.state_() === "granted";
  const cells = createCells(name, mayStore);
  const device: DeviceInfo = {};
  if (inBrowser) {
    device.language = navigator.language;
    device.timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    lazy.device_().then(async (file) => {
      Object.assign(device, await file.readDevice(navigator));
      delivery.queue_.maxBytes_ = await file.roomFor(options.max_queue_bytes);
    }, debug);
  }
  const listeners = new Set<(rules: TenantRules) => void>();
  let rules: TenantRules | undefined;
  let strip: Awaited<ReturnType<LazyFiles["fallback_"]>>["strip"] | undefined;
  let life: AbortController | undefined;
  /** When the page was left or hidden; NaN = never. */
  let leftAt = NaN;
  const modules: (() => ReturnType<Module>)[] = [];
  /** What tears down the modules that run; undefined while none may. */
  let ends: ReturnType<Module>[] | undefined;
  let tracked = 0;

  /** Calls what the page or a module has given us: what it throws is not thrown into the page, and ends nothing of ours. */
  const guarded = <T>(call: () => T): T | undefined => {
    try {
      return call();
    } catch (error) {
      debug(error);
    }
  };

  const lost = (loss: Loss) => {
    debug("lost", loss);
    guarded(() => config.on_loss?.(loss));
  };

  const delivery = createDelivery(
    options,
    name,
    lazy.fallback_,
    (learned) => {
      rules = learned;
      if (learned.tracking_level === "minimal") lazy.fallback_().then((file) => (strip = file.strip), debug);
      listeners.forEach((listener) => guarded(() => listener(learned)));
    },
    lost,
  );

  const track = (event_name: string, properties: Properties = {}, category = "general") => {
    if (!inBrowser) return;
    tracked++;
    let event_id = "";
    const lose = (outcome: Loss["outcome"], code: string) => delivery.lose_(event_id, outcome, { code });
    try {
      if (consent.state_() === "denied") return lose("refused", "consent");
      if (!event_name?.trim?.() || event_name.length > 200)
        return lose("rejected", "bad_event_name");
      const rule = leftOutBy(rules, event_name);
      if (rule) return lose("dropped", rule);
      let event = makeEvent(cells, device, options.tenant_id, options.cookieless && !mayStore(), event_name, properties, category);
      event_id = event.event_id;
      if (options.before_send) event = options.before_send(event)!;
      if (!event) return lose("dropped", "before_send");
      const entry = encode(strip && rules?.tracking_level === "minimal" ? strip(event, rules) : event, +!options.low_priority.includes(category));
      if (bytesOf(entry.j) > MAX_EVENT_BYTES) return lose("rejected", "event_too_big");
      delivery.offer_(entry);
      // Later, a hidden tab goes on as usual.
      if (performance.now() - leftAt < MOMENT) queueMicrotask(handOver);
    } catch (error) {
      debug(error);
      lose("rejected", "bad_properties");
    }
  };

  const setUser = (user_id: string) => (isUserId(user_id) ? cells.set_("user", user_id) : debug("user_id", user_id));

  const endModules = () => {
    ends?.forEach((end) => end && guarded(end));
    ends = undefined;
  };

  /** Brings what runs in line with consent. */
  const obey = () => {
    if (!inBrowser) return;
    const durable = mayStore();
    // Also while nothing runs: what earlier pages have left must not wait on the disk until somebody agrees again.
    if (consent.state_() === "denied") {
      endModules();
      delivery.refuse_();
      return cells.clear_();
    }
    if (!life) return;
    if (durable) cells.persist_();
    if (durable || options.cookieless) delivery.start_(durable);
    else delivery.pause_();
    ends ??= modules.map((begin) => begin());
  };

  const setConsent = (state: ConsentState) => {
    consent.decide_(state);
    obey();
  };

  const handOver = () => {
    // Not while consent is asked for.
    if (mayStore() || options.cookieless) void delivery.sender_.handOver_();
  };

  const leave = () => {
    leftAt = performance.now();
    handOver();
  };

  const client: AnalyticsClient = {
    config,
    debug,
    track,
    setConsent,
    getConsent: consent.state_,
    async initialize() {
      if (life || !inBrowser) return;
      life = new AbortController();
      const on = (type: string, listener: (event: Event) => void) => addEventListener(type, listener, life);
      on("online", delivery.sender_.hurry_);
      // Another tab may have heard the visitor's decision.
      on("storage", obey);
      on("pagehide", (event) => {
        leave();
        // A page in the back/forward cache must hold neither the lock nor a connection.
        if ((event as PageTransitionEvent).persisted) delivery.stop_();
      });
      on("pageshow", obey);
      on("visibilitychange", () => (document.hidden ? leave() : obey()));
      obey();
    },
    trackPageView(page_name, properties) {
      const { title, URL, referrer } = Object(page()) as Document;
      track("page_view", { page_name, page_title: title, page_url: URL, referrer, ...properties }, "navigation");
    },
    trackAction(action_name, element_type, element_id, properties) {
      track("user_action", { action_name, element_type, element_id, ...properties }, "interaction");
    },
    trackPerformance(metric_name, metric_value, properties) {
      track("performance_metric", { metric_name, metric_value, ...properties }, "performance");
    },
    trackError(error, context) {
      const { message = error, stack, name } = Object(error) as Record<keyof Error, unknown>;
      // Not everything can be text.
      const text = (value: unknown) => guarded(() => `${value as string}`.slice(0, 4_000));
      track("error", { error_message: text(message), error_stack: stack && text(stack), error_name: name, ...context }, "error");
    },
    identify(user_id, traits) {
      if (setUser(user_id)) track("identify", traits, "identity");
    },
    reset: cells.clear_,
    register(properties) {
      guarded(() => cells.set_("super", JSON.stringify({ ...superProperties(cells), ...properties })));
    },
    optOut: () => setConsent("denied"),
    optIn: () => setConsent("granted"),
    flush: delivery.flush_,
    onConfig(listener) {
      listeners.add(listener);
      if (rules) guarded(() => listener(rules!));
      return () => listeners.delete(listener);
    },
    use(module, wanted) {
      const begin = () => guarded(() => module(client, wanted));
      modules.push(begin);
      ends?.push(begin());
    },
    getStats: () => ({
      storageStats: { eventCount: delivery.queue_.count_(), storageSize: delivery.queue_.bytes_() },
      connectionStatus: delivery.sender_.status_(),
      batchSize: delivery.queue_.items_().filter((item) => item.state_ === State.Sent).length,
      tracked,
      ...delivery.counts_,
    }),
    destroy() {
      life?.abort();
      life = undefined;
      endModules();
      handOver();
      delivery.stop_();
    },
  };
  if (config.user_id) setUser(config.user_id);
  if (inBrowser) {
    for (const name in config.modules) {
      const wanted = config.modules[name as ModuleName];
      if (wanted) lazy.module_(name as ModuleName).then((file) => client.use(file.default, wanted), debug);
    }
  }
  return client;
};
