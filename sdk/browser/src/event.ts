/** Makes an event of what `track` was told and of where the page is. */
import type { Cells } from "./identity/cells.ts";
import { anonymousId, superProperties } from "./identity/person.ts";
import { sessionId } from "./identity/session.ts";
import { uuid7 } from "./ids.ts";
import type { AnalyticsEvent, DeviceInfo, Properties } from "./types.ts";

/** The longest address that the server takes. */
const LONGEST_URL = 2_048;

/** The page; a worker has none. */
export const page = (): Document | undefined => globalThis.document;

export const makeEvent = (
  cells: Cells,
  device: DeviceInfo,
  tenant_id: string | undefined,
  nameless: boolean | undefined,
  event_name: string,
  properties: Properties,
  event_category: string,
): AnalyticsEvent => {
  const timestamp = Date.now();
  return {
    event_id: uuid7(timestamp),
    event_name,
    event_category,
    timestamp,
    properties: { ...superProperties(cells), ...properties },
    tenant_id,
    user_id: cells.get_("user"),
    anonymous_id: nameless ? undefined : anonymousId(cells),
    session_id: sessionId(cells, timestamp),
    page_url: page()?.URL.slice(0, LONGEST_URL),
    referrer: page()?.referrer.slice(0, LONGEST_URL),
    user_agent: navigator.userAgent,
    device_info: {
      ...device,
      ...(page() && { screen_width: screen.width, screen_height: screen.height, viewport_width: innerWidth, viewport_height: innerHeight }),
    },
  };
};
