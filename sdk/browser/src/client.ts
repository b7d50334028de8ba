/** The public class. */
import type { AnalyticsConfig, ConsentState, Module, ModuleHost, ModuleName, Properties, Stats, TenantRules } from "./types.ts";

export abstract class Client implements ModuleHost {
    protected abstract load_(name: ModuleName): Promise<{ default: Module }>;
    constructor(readonly config: AnalyticsConfig) {}
    async initialize(): Promise<void> {}
    track(_name: string, _properties?: Properties, _category?: string): void {}
    trackPageView(_page: string, _properties?: Properties): void {}
    trackAction(_action: string, _type: string, _id: string, _properties?: Properties): void {}
    trackPerformance(_metric: string, _value: number, _properties?: Properties): void {}
    trackError(_error: unknown, _context?: Properties): void {}
    identify(_userId: string, _traits?: Properties): void {}
    reset(): void {}
    register(_properties: Properties): void {}
    setConsent(_state: ConsentState): void {}
    optOut(): void {}
    optIn(): void {}
    flush(_timeout?: number): Promise<boolean> { return Promise.resolve(true); }
    onConfig(_listener: (rules: TenantRules) => void): () => void { return () => {}; }
    use(_module: Module, _options?: unknown): void {}
    debug(..._words: unknown[]): void {}
    getStats(): Stats { throw new Error("not yet"); }
    destroy(): void {}
  }
