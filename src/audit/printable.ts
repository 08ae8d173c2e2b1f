// Controls, format characters (bidirectional overrides, zero widths), line and paragraph separators: whatever makes a
// terminal or an editor show something else than what stands there.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The text with every character that a terminal would act upon written as JSON writes it: `\u001b`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeUnits);
}

/** By code unit, so that a character beyond U+FFFF becomes the pair that JSON reads back. */
function escapeUnits(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i++) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
