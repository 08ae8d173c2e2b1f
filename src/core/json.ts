/** What a text says as JSON; undefined for what is none. The parser's own message is left out: it quotes the text. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
