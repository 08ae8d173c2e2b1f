import { SekishoError } from '../../core/errors.ts';

/** A value that is not of the form that it should be of. The message quotes nothing of it. */
export class EventFault extends SekishoError {
  constructor(message: string) {
    super('event-invalid', message);
    this.name = 'EventFault';
  }
}
