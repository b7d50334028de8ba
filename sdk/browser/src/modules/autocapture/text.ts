/** The words on a button or a link, without anything that somebody may have typed. */
import { publicText } from "./private.ts";

const MASKED = "[masked]";
/** As much of an element's text as is looked at. */
const MOST_CHARACTERS = 1_000;
const MOST_NODES = 200;
/** What is inside was typed, chosen, or is no text at all. */
const NEVER = "input,textarea,select,option,datalist,output,script,style,noscript,template,[role=textbox],[role=searchbox],[role=combobox],[role=spinbutton],[contenteditable]:not([contenteditable=false i]),[data-obc-ignore]";
const MASK = "[data-obc-mask]";

const collect = (element: Element): string => {
  let nodes = 0;
  let text = "";
  const visit = (node: Node) => {
    if (nodes++ > MOST_NODES || text.length > MOST_CHARACTERS) return;
    if (node instanceof Text) text += node.data.slice(0, MOST_CHARACTERS);
    else if (node instanceof HTMLSlotElement) node.assignedNodes({ flatten: true }).forEach(visit);
    else if (node instanceof Element && !node.matches(NEVER)) {
      if (node.matches(MASK)) text += ` ${MASKED} `;
      else {
        text += " ";
        node.childNodes.forEach(visit);
      }
    }
  };
  visit(element);
  return text;
};

/** `around`: the element and what it lies in, through shadow roots. */
export const textOf = (element: Element, around: Element[], longest: number): string | undefined => {
  if (!longest || (element as Partial<HTMLElement>).isContentEditable || around.some((one) => one.matches(NEVER))) return undefined;
  if (around.some((one) => one.matches(MASK))) return MASKED;
  // An icon says what it is in its label.
  return publicText(collect(element), longest) ?? publicText(element.getAttribute("aria-label") ?? element.getAttribute("title") ?? "", longest);
};
