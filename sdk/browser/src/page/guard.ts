/** Makes of a function one that never throws into the page. */
export const guard =
  <Given extends unknown[]>(report: (error: unknown) => void, call: (...given: Given) => void) =>
  (...given: Given): void => {
    try {
      call(...given);
    } catch (error) {
      report(error);
    }
  };
