/** What a browser says of itself, where what it says is not what the standard says. */
import { expect, test } from "vitest";
import { type BrowserNames, readDevice } from "../../src/device/index.ts";

const userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

test("Client Hints that an extension has made useless leave the User-Agent string", async () => {
  const fromText = await readDevice({ userAgent });
  const userAgentData = { mobile: false } as unknown as NonNullable<BrowserNames["userAgentData"]>;
  expect(fromText).toMatchObject({ browser: "Firefox" });
  expect(await readDevice({ userAgent, userAgentData })).toEqual(fromText);
});
