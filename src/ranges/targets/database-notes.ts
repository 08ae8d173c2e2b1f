import type { GuardedDatabase } from '../aws/databases.ts';
import type { Note } from './target.ts';

const SHOWN = 5;

/** Whether the databases behind the groups ask for more than an address. @param databases or why nobody knows */
export function databaseNotes(databases: readonly GuardedDatabase[] | string): Note[] {
  if (typeof databases === 'string') {
    const text = `whether databases with these groups take an IAM login could not be looked at: ${databases}`;
    return [{ level: 'note', text }];
  }
  const of = (iamLogin: boolean) => databases.filter((one) => one.iamLogin === iamLogin);
  const [guarded, open] = [of(true), of(false)];
  const notes: Note[] = [];
  if (guarded.length > 0) {
    const text = `behind these groups, with an IAM login: ${listed(guarded)}`;
    notes.push({ level: 'note', about: 'login', text });
  }
  if (open.length > 0) {
    const text = `behind these groups, without an IAM login: ${listed(open)}; whoever is at one of the addresses and knows a password is in`;
    notes.push({ level: 'warning', about: 'login', text });
  }
  return notes;
}

function listed(databases: readonly GuardedDatabase[]): string {
  const shown = databases.slice(0, SHOWN).map(({ name, engine }) => `${name} (${engine})`);
  const more = databases.length > SHOWN ? ` and ${databases.length - SHOWN} more` : '';
  return `${shown.join(', ')}${more}`;
}
