/** The client: takes events, obeys consent and the tenant's rules, and owns everything that runs. */
import { createDelivery } from "./delivery.ts";
import { makeEvent, page } from "./event.ts";
import { createCells } from "./identity/cells.ts";
import { createConsent } from "./identity/consent.ts";
import { readDevice } from "./identity/device.ts";
import { isUserId, superProperties } from "./identity/person.ts";
import { startModules } from "./modules.ts";
import { storageName, withDefaults } from "./options.ts";
import { bytesOf, encode, MAX_EVENT_BYTES } from "./queue/entry.ts";
import { State } from "./queue/queue.ts";
import { leftOutBy, strip } from "./rules.ts";
import type {
  AnalyticsClient, AnalyticsConfig, ConsentState, LoadFallback, LoadModule, Loss, ModuleName, Properties, TenantRules,
} from "./types.ts";

export const createClient = (config: AnalyticsConfig, loadModule: LoadModule, loadFallback: LoadFallback): AnalyticsClient => {
  const debug = (...words: unknown[]) => {
    if (config.enable_debug) console.warn("[analytics]", ...words);
  };
  // Not on a server that renders pages: there, nothing happens.
  const inBrowser = page() || "WorkerGlobalScope" in globalThis;
  const options = withDefaults(config, debug);
  const name = storageName(options);
  const consent = createConsent(config, name);
  const cells = createCells(name, () => !!inBrowser && consent.state_() === "granted");
  const device = inBrowser && readDevice();
  const listeners = new Set<(rules: TenantRules) => void>();
  let rules: TenantRules | undefined;
  let life: AbortController | undefined;
  let loaded = false;
  let leaving = false;
  let tracked = 0;

  const lost = (loss: Loss) => {
    debug("not stored", loss);
    config.on_loss?.(loss);
  };

  const delivery = createDelivery(
    options,
    name,
    loadFallback,
    (learned) => {
      rules = learned;
      listeners.forEach((listener) => listener(learned));
    },
    lost,
  );

  const track = (event_name: string, properties: Properties = {}, category = "general") => {
    if (!device) return;
    tracked++;
    let event_id = "";
    const lose = (outcome: Loss["outcome"], code: string, field?: string) => {
      delivery.counts_[outcome]++;
      lost({ event_id, outcome, code, field });
    };
    try {
      const state = consent.state_();
      if (state === "denied") return lose("refused", "consent");
      if (typeof event_name !== "string" || !event_name.trim() || event_name.length > 200)
        return lose("rejected", "bad_event_name", "event_name");
      const rule = leftOutBy(rules, event_name);
      if (rule) return lose("dropped", rule);
      const nameless = !!options.cookieless && state !== "granted";
      let event = makeEvent(cells, device, options.tenant_id, nameless, event_name, properties, category);
      event_id = event.event_id;
      if (options.before_send) event = options.before_send(event)!;
      if (!event) return lose("dropped", "before_send");
      const entry = encode(strip(event, rules), +!options.low_priority.includes(category));
      if (bytesOf(entry.j) > MAX_EVENT_BYTES) return lose("rejected", "event_too_big", "properties");
      delivery.offer_(entry);
      if (leaving) queueMicrotask(delivery.handOver_);
    } catch (error) {
      debug(error);
      lose("rejected", "unreadable", "properties");
    }
  };

  const setUser = (user_id: string) => {
    const good = isUserId(user_id);
    if (good) cells.set_("user", user_id);
    else debug("user_id: no id of one person", user_id);
    return good;
  };

  /** Brings what runs in line with consent. */
  const obey = () => {
    if (!life) return;
    const state = consent.state_();
    const durable = state === "granted";
    if (state === "denied") {
      modules.end_();
      delivery.refuse_();
      return cells.clear_();
    }
    if (durable) cells.persist_();
    if (durable || options.cookieless) delivery.start_(durable);
    else delivery.stop_();
    modules.start_();
  };

  const setConsent = (state: ConsentState) => {
    consent.decide_(state);
    obey();
  };

  const leave = () => {
    leaving = true;
    delivery.handOver_();
  };

  const enter = () => {
    leaving = false;
    obey();
  };

  const client: AnalyticsClient = {
    config,
    debug,
    track,
    setConsent,
    async initialize() {
      if (life || !device) return;
      life = new AbortController();
      const on = (target: EventTarget, type: string, listener: (event: Event) => void) =>
        target.addEventListener(type, listener, life);
      on(globalThis, "online", delivery.sender_.hurry_);
      // Another tab may have heard the visitor's decision.
      on(globalThis, "storage", obey);
      if (page()) {
        on(globalThis, "pagehide", (event) => {
          leave();
          // A page in the back/forward cache must hold neither the lock nor a connection.
          if ((event as PageTransitionEvent).persisted) delivery.stop_();
        });
        on(globalThis, "pageshow", enter);
        on(document, "visibilitychange", () => (document.hidden ? leave() : enter()));
      }
      obey();
      for (const [module, wanted] of loaded ? [] : Object.entries(config.modules ?? {})) {
        loaded = true;
        try {
          if (wanted) client.use((await loadModule(module as ModuleName)).default, wanted);
        } catch (error) {
          debug("modules", module, error);
        }
      }
    },
    trackPageView(page_name, properties) {
      const { title, location, referrer } = page() ?? ({} as Partial<Document>);
      track("page_view", { page_name, page_title: title, page_url: location?.href, referrer, ...properties }, "navigation");
    },
    trackAction(action_name, element_type, element_id, properties) {
      track("user_action", { action_name, element_type, element_id, ...properties }, "interaction");
    },
    trackPerformance(metric_name, metric_value, properties) {
      track("performance_metric", { metric_name, metric_value, ...properties }, "performance");
    },
    trackError(error, context) {
      const { message = String(error), stack, name } = (error ?? {}) as Partial<Error>;
      track(
        "error",
        { error_message: message.slice(0, 2_000), error_stack: stack?.slice(0, 4_000), error_name: name, ...context },
        "error",
      );
    },
    identify(user_id, traits) {
      if (setUser(user_id)) track("identify", traits, "identity");
    },
    reset: cells.clear_,
    register(properties) {
      try {
        cells.set_("super", JSON.stringify({ ...superProperties(cells), ...properties }));
      } catch (error) {
        debug("register", error);
      }
    },
    optOut: () => setConsent("denied"),
    optIn: () => setConsent("granted"),
    flush: (milliseconds = 5_000) => delivery.flush_(milliseconds),
    onConfig(listener) {
      listeners.add(listener);
      if (rules) listener(rules);
      return () => listeners.delete(listener);
    },
    use(module, wanted) {
      modules.add_(module, wanted);
      obey();
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
      modules.end_();
      delivery.handOver_();
      delivery.stop_();
    },
  };
  const modules = startModules(client);
  if (config.user_id) setUser(config.user_id);
  return client;
};
