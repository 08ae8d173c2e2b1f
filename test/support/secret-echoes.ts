/** How a destination may send a secret back, by the name of the encoding. */
export const ECHOES: Readonly<Record<string, (secret: string) => string>> = {
  plain: (secret) => secret,
  base64: (secret) => Buffer.from(`Authorization: token ${secret}`).toString('base64'),
  base64url: (secret) => Buffer.from(`>>?${secret}`).toString('base64url'),
  hex: (secret) => Buffer.from(secret).toString('hex'),
  percent: (secret) => [...secret].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(''),
  JSON: (secret) => [...secret].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join(''),
};

/** What is the same in a text that quotes, escapes or encodes it once more, as JSON Lines do. */
const unescaped = (text: string) =>
  text
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\+u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll('\\', '');
const inBase64 = (text: string) => text.replaceAll('-', '+').replaceAll('_', '/');

/**
 * Whether the middle half of a secret stands in a text: as it is, percent-encoded or escaped for JSON, in hexadecimal, in base64 or
 * base64url with anything before it. Written without a look at how the gateway searches.
 */
export function tells(text: string, secret: string): boolean {
  const part = secret.slice(secret.length / 4, (secret.length * 3) / 4);
  const readings = [text, unescaped(text)];
  const encoded = [0, 1, 2].map((before) => base64Within(part, before));
  return (
    text.includes(part) ||
    unescaped(text).includes(unescaped(part)) ||
    readings.some((reading) => reading.toLowerCase().includes(Buffer.from(part).toString('hex'))) ||
    readings.some((reading) => encoded.some((core) => inBase64(reading).includes(core)))
  );
}

/** The characters that are made of these bytes alone, with so many bytes before them. */
function base64Within(part: string, before: number): string {
  const text = Buffer.from('x'.repeat(before) + part).toString('base64');
  return text.slice(Math.ceil((before * 4) / 3), Math.floor(((before + part.length) * 4) / 3));
}
