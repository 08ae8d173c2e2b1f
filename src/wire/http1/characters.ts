export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

/** tchar (RFC 9110 5.6.2): methods and field names. */
export const TOKEN = 1;
/** VCHAR: what a request target may hold at all (RFC 3986 leaves out more; that is for its parser to say). */
export const VISIBLE = 2;
/** HTAB, SP, VCHAR, obs-text (RFC 9110 5.5): field values and reason phrases. */
export const TEXT = 4;

const TCHAR = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;

/** For each byte, the bits of the classes that it belongs to. */
export const CLASS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const visible = byte > SP && byte < 0x7f;
  const token = visible && TCHAR.test(String.fromCharCode(byte)) ? TOKEN : 0;
  const text = visible || byte >= 0x80 || byte === SP || byte === HTAB ? TEXT : 0;
  return token | (visible ? VISIBLE : 0) | text;
});

/** Whether the byte at `at` is of the class; not so beyond the end. */
export function is(bytes: Buffer, at: number, kind: number): boolean {
  return ((CLASS[bytes[at] as number] as number) & kind) !== 0;
}
