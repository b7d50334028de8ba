/** Tells React that `act` decides when it renders. */
Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
