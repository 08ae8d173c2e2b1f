import type { TcpSocket } from '../tcp/tcp-socket.ts';

/** A piece of this size says that more is waiting: it fills a TLS record, if not all that is read at once. */
const LARGE = 16 * 1024;

/**
 * Stops reading `from`, of which a piece was just written to `to`, until `to` can send more and everybody else who is
 * ready has had a turn: a fast sender would be read 32 times in a row before the event loop looks at any other socket.
 *
 * @param resume reads on, where that is still wanted
 */
export function pace(from: TcpSocket, to: TcpSocket, pieceBytes: number, resume: () => void): void {
  const full = to.writableNeedDrain;
  if (!full && pieceBytes < LARGE) return;
  from.pause();
  const resumeInTurn = () => setImmediate(resume);
  if (full) to.once('drain', resumeInTurn);
  else resumeInTurn();
}
