/**
 * Some events (`submit`, `change`) do not leave the shadow root they happen in. Whoever causes them does something in
 * it before, which is seen from outside: that is when a root is listened to. At most so many, the latest.
 */
const MOST = 50;

export interface ShadowRoots {
  /** Listens to the roots that this event came through. */
  meet(event: Event): void;
  end(): void;
}

export const createShadowRoots = (types: string[], listener: (event: Event) => void): ShadowRoots => {
  const roots = new Set<ShadowRoot>();
  const passive = { capture: true, passive: true };
  const leave = (root: ShadowRoot) => {
    roots.delete(root);
    types.forEach((type) => root.removeEventListener(type, listener, passive));
  };
  return {
    meet(event) {
      for (const root of event.composedPath()) {
        if (!(root instanceof ShadowRoot) || roots.has(root)) continue;
        roots.add(root);
        types.forEach((type) => root.addEventListener(type, listener, passive));
        if (roots.size > MOST) leave(roots.values().next().value!);
      }
    },
    end: () => roots.forEach(leave),
  };
};
