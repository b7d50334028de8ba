/** What must not leave the page: whatever looks like an address, a card or another long number. */
const EMAIL = /\S@\S/;
/** Seven digits or more, however they are grouped: cards, accounts, telephones, customers. */
const LONG_NUMBER = /\p{Nd}(?:[\s.\-–/()]{0,3}\p{Nd}){6}/u;

export const REDACTED = "[redacted]";

export const looksPrivate = (text: string): boolean => EMAIL.test(text) || LONG_NUMBER.test(text);

/** The text as it may be sent: nothing of one that looks private, else at most its beginning. */
export const publicText = (text: string, longest: number): string | undefined => {
  const plain = text.replace(/\s+/g, " ").trim();
  if (!plain || !longest) return undefined;
  if (looksPrivate(plain)) return REDACTED;
  return plain.length > longest ? `${plain.slice(0, longest).replace(/[\ud800-\udbff]$/, "")}…` : plain;
};
