/** A name or a value of a query as it is meant: `+` is a space. What cannot be decoded stays as it is, as servers read it too. */
export function decodeFormText(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
