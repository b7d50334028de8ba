/**
 * What an event says of an element: what it is and what the page calls it, never what is in it. Attributes are read by
 * `getAttribute`: a form's field named `id` would hide the property.
 */
import type { Properties } from "../../types.ts";
import { looksPrivate } from "./private.ts";
import { textOf } from "./text.ts";

/** Their text says what they do. That of others may be what somebody typed, chose or wrote. */
const SPEAKING = "a[href],button,summary,[role=button],[role=link],[role=tab],[role^=menuitem],[role=switch]";
const CLICKABLE =
  `${SPEAKING},area[href],input,select,textarea,option,label,[onclick],[contenteditable]:not([contenteditable=false i]),` +
  "[role=checkbox],[role=radio],[role=option],[role=treeitem]";
const PROP = "data-obc-prop-";
const MOST_PROPS = 20;
const LONGEST_NAME = 128;
const LONGEST_PROP = 256;
/** What is shown of where an element is. */
const MOST_STEPS = 5;

/** From the innermost element out, through open shadow roots. */
export const pathOf = (event: Event): Element[] => event.composedPath().filter((target) => target instanceof Element);

export const isIgnored = (path: Element[]): boolean => path.some((element) => element.hasAttribute("data-obc-ignore"));

/** Passwords and cards: not even their names. */
export const isSecret = (element: Element): boolean => {
  const words = (element.getAttribute("autocomplete") ?? "").toLowerCase();
  return (element.localName === "input" && (element as HTMLInputElement).type === "password") || /(?:^|\s)cc-|password|one-time-code/.test(words);
};

const isPointedAt = (element: Element) => getComputedStyle(element).cursor === "pointer";

/** What invites a click: by what it is, or by its cursor where nothing else tells. */
const inviting = (path: Element[]): Element | undefined => {
  const known = path.find((element) => element.matches(CLICKABLE));
  if (known || !path[0] || !isPointedAt(path[0])) return known;
  const outside = path.findIndex((element, at) => at >= MOST_STEPS || !isPointedAt(element));
  return path[outside - 1];
};

/** The element that was meant, and whether a click on it must have an effect. */
export const meantBy = (path: Element[]): { element: Element | undefined; invites: boolean } => {
  const clickable = inviting(path);
  const named = path.findIndex((element) => element.hasAttribute("data-obc-name"));
  // A name inside of a button is the button's; one around it is that of a part of the page.
  const element = clickable && (named < 0 || named > path.indexOf(clickable)) ? clickable : path[named];
  return { element, invites: !!clickable };
};

const plainName = (value: string | null): string | undefined =>
  value && !looksPrivate(value) ? value.slice(0, LONGEST_NAME) : undefined;

export const typeOf = (element: Element): string => {
  const type = element.localName === "input" && (element as HTMLInputElement).type;
  return type ? `input:${type}` : element.localName;
};

/** The nearest wins. They are the page's own words, and sent as they are. */
const propsOf = (path: Element[]): Properties => {
  const props: Properties = {};
  let count = 0;
  for (const element of path) {
    for (const { name, value } of element.attributes) {
      const key = name.startsWith(PROP) && name.slice(PROP.length);
      if (key && !Object.hasOwn(props, key) && count++ < MOST_PROPS) props[key] = value.slice(0, LONGEST_PROP);
    }
  }
  return props;
};

const stepOf = (element: Element): string => {
  const id = plainName(element.getAttribute("id"));
  return id ? `${element.localName}#${id}` : element.localName;
};

/** Undefined for what is no address. */
export const addressOf = (href: string): URL | undefined => {
  try {
    return new URL(href, document.baseURI);
  } catch {
    return undefined;
  }
};

/** Where a link leads, without its query; of `mailto:` and its like only that. */
const hrefOf = (element: Element): string | undefined => {
  const href = element.localName === "a" && element.getAttribute("href");
  if (!href) return undefined;
  const address = addressOf(href);
  if (!address) return undefined;
  const { protocol, origin, pathname } = address;
  if (!/^https?:$/.test(protocol)) return protocol;
  return plainName((origin === location.origin ? "" : origin) + pathname);
};

/** `path` begins with the element or inside of it. */
export const describe = (element: Element, path: Element[], longestText: number): Properties => {
  const around = path.slice(path.indexOf(element));
  const element_type = typeOf(element);
  if (isSecret(element)) return { element_type, element_id: "" };
  const own = plainName(element.getAttribute("data-obc-name"));
  return {
    ...propsOf(around),
    element_type,
    element_id: own ?? plainName(element.getAttribute("id")) ?? plainName(element.getAttribute("name")) ?? "",
    element_name: own,
    element_role: plainName(element.getAttribute("role")),
    element_text: element.matches(SPEAKING) ? textOf(element, around, longestText) : undefined,
    element_href: hrefOf(element),
    element_path: around.slice(0, MOST_STEPS).map(stepOf).reverse().join(" > "),
  };
};
