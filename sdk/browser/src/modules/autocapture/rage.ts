/** Clicks in anger: several at one spot in a short time. */
const CLICKS = 3;
const WITHIN = 1_000;
const RADIUS = 30;

interface Click {
  x: number;
  y: number;
  at: number;
}

/** Takes every click, in order; answers true once for each burst. */
export const createRageDetector = (): ((click: Click) => boolean) => {
  let burst: Click[] = [];
  let told = false;
  return (click) => {
    const last = burst.at(-1);
    const goesOn = last && click.at - last.at <= WITHIN && Math.hypot(click.x - last.x, click.y - last.y) <= RADIUS;
    if (!goesOn) {
      burst = [];
      told = false;
    }
    burst = [...burst, click].slice(-CLICKS);
    if (told || burst.length < CLICKS || click.at - burst[0]!.at > WITHIN) return false;
    told = true;
    return true;
  };
};
