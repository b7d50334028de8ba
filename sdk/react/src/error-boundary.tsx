/** Reports what the components below throw while they render, and shows something in their place. */
import type { Properties } from "@openbiocure/analytics";
import { Component, type ContextType, type ErrorInfo, type ReactNode } from "react";
import { AnalyticsContext } from "./context.ts";

/** As long as the stack of an error. */
const LONGEST_STACK = 4_000;

export interface CaughtError {
  error: unknown;
  /** Shows the children again. */
  reset: () => void;
}

export interface AnalyticsErrorBoundaryProps {
  children?: ReactNode;
  /** What is shown instead; a function is told of the error. Default: nothing. */
  fallback?: ReactNode | ((caught: CaughtError) => ReactNode);
  /** Goes with the report. */
  context?: Properties;
}

interface State {
  /** A component may throw anything, `undefined` too. */
  caught?: { error: unknown } | undefined;
}

/** Without a provider above it, it shows its fallback and reports nothing. */
export class AnalyticsErrorBoundary extends Component<AnalyticsErrorBoundaryProps, State> {
  static override contextType = AnalyticsContext;
  declare context: ContextType<typeof AnalyticsContext>;
  override state: State = {};

  static getDerivedStateFromError(error: unknown): State {
    return { caught: { error } };
  }

  override componentDidCatch(error: unknown, { componentStack }: ErrorInfo): void {
    this.context?.().trackError(error, { component_stack: componentStack?.slice(0, LONGEST_STACK), ...this.props.context });
  }

  private readonly reset = (): void => this.setState({ caught: undefined });

  override render(): ReactNode {
    const { children, fallback } = this.props;
    const { caught } = this.state;
    if (!caught) return children;
    return typeof fallback === "function" ? fallback({ error: caught.error, reset: this.reset }) : fallback;
  }
}
