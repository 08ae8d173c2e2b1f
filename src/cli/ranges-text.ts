import type { Colors } from 'picocolors/types.js';
import { printable } from '../audit/printable.ts';
import type { RangesTargetConfig } from '../config/ranges-config.ts';
import { permissionText } from '../core/permission.ts';
import { nameOf } from '../ranges/follow.ts';
import { meaningOf } from '../ranges/meaning.ts';
import type { Entry } from '../ranges/plan/entry.ts';
import type { Room } from '../ranges/plan/places.ts';
import type { Plan } from '../ranges/plan/plan.ts';
import type { RangeSet } from '../ranges/range-sets.ts';
import { type Failed, isFailed, isPending, type Planned } from '../ranges/ranges.ts';

/** What a set means, before anybody looks at networks. */
export function setText(set: RangeSet, colors: Colors): string {
  const { size, whose, rented } = meaningOf(set);
  const who = rented ? `${whose}: every customer there can send from these addresses` : whose;
  const lines = [`${colors.bold(set.name)}  ${size}`, `  ${printable(who)}`];
  if (set.source !== undefined && set.seenMs !== undefined) {
    const version = set.token === undefined ? '' : `version ${set.token} of `;
    const seen = new Date(set.seenMs).toISOString().slice(0, 16).replace('T', ' ');
    lines.push(colors.dim(`  ${version}${printable(nameOf(set.source))}, seen ${seen} UTC`));
  }
  if (set.problem !== undefined) {
    const text = `${printable(set.problem.message)}; the last good copy stands`;
    lines.push(colors.red(`  ! ${text}`));
  }
  return lines.join('\n');
}

export function targetText(planned: Planned | Failed, colors: Colors): string {
  const head = `${colors.bold(planned.target.name)}  ${placeText(planned.target)}`;
  if (isFailed(planned)) return `${head}\n${colors.red(`  ! ${printable(planned.error.message)}`)}`;
  const { plan, notes, unsettled, sets } = planned;
  const warnings = [
    ...(notes.some(({ about }) => about === 'login') ? [] : rentedWarning(sets)),
    ...notes.filter(({ level }) => level === 'warning').map(({ text }) => text),
  ];
  return [
    head,
    ...changeLines(plan, colors),
    ...plan.covered.map((one) => {
      const stays = one.exact ? 'so nothing is added' : 'and ours stands beside it';
      const by = `${one.by.network.text} of somebody else in ${one.container}`;
      return colors.dim(`  · ${one.entry.network.text} passes by ${by}, ${stays}`);
    }),
    ...unsettled.map((what) => colors.yellow(`  ~ ${printable(what)}`)),
    ...plan.room.map((room) => colors.dim(`    ${roomText(room)}`)),
    ...notes
      .filter(({ level }) => level === 'note')
      .map(({ text }) => colors.dim(`    ${printable(text)}`)),
    ...warnings.map((text) => colors.yellow(`  ! ${printable(text)}`)),
    ...plan.shortage.map(({ family, needed, free }) =>
      colors.red(
        `  ! no room: IPv${family}: ${needed} to add, room for ${free}; an apply changes nothing`,
      ),
    ),
    `  ${countsText(plan)}`,
  ].join('\n');
}

function rentedWarning(sets: readonly RangeSet[]): string[] {
  const rented = sets.filter((set) => meaningOf(set).rented).map(({ name }) => name);
  if (rented.length === 0) return [];
  return [
    `${rented.join(', ')}: an address proves nothing here: what is reached has to ask for a login that does (IAM, certificate), over TLS`,
  ];
}

function changeLines({ add, move, remove }: Plan, colors: Colors): string[] {
  return [
    ...add.map((one) => colors.green(`  + ${entryText(one.entry)}  ${one.container}`)),
    ...move.map((one) => colors.yellow(`  ~ ${entryText(one.entry)}  ${one.from} → ${one.to}`)),
    ...remove.map((one) => colors.red(`  - ${entryText(one.entry)}  ${one.container}`)),
  ];
}

const WIDTH = 20;

export function entryText({ network, permission }: Entry): string {
  const text = network.text.padEnd(WIDTH);
  return permission === undefined ? text.trimEnd() : `${text} ${permissionText(permission)}`;
}

export function countsText({ add, move, remove, keep }: Plan): string {
  const moved = move.length > 0 ? `, ${move.length} to move` : '';
  return `${add.length} to add${moved}, ${remove.length} to remove, ${keep.length} ${keep.length === 1 ? 'stays' : 'stay'}`;
}

function roomText({ container, family, before, after, quota }: Room): string {
  const count = before === after ? `${after}` : `${before} → ${after}`;
  const of = Number.isFinite(quota) ? ` of ${quota}` : '';
  return `${container}: IPv${family} ${count}${of}`;
}

function placeText(target: RangesTargetConfig): string {
  switch (target.kind) {
    case 'securityGroups':
      return `security groups ${target.groups.join(', ')} in ${target.aws.region}, ${target.permissions.map(permissionText).join(', ')}`;
    case 'prefixLists':
      return `prefix lists ${target.lists.join(', ')} in ${target.aws.region}`;
    case 'wafIpSets':
      return `WAF IP sets ${target.ipSets.map(({ name }) => name).join(', ')} in ${target.aws.region}`;
    case 'nftables':
      return `nftables ${target.family} ${target.table}`;
    case 'file':
      return `${target.format} file ${printable(target.path)}`;
  }
}

/** The last line of a plan. */
export function summaryText(planned: readonly (Planned | Failed)[]): string {
  const failed = planned.filter(isFailed).length;
  const known = planned.filter((one): one is Planned => !isFailed(one));
  const pending = known.filter(isPending).length;
  const sum = (count: (plan: Plan) => number) =>
    known.reduce((total, { plan }) => total + count(plan), 0);
  const parts = [
    `${planned.length} target${planned.length === 1 ? '' : 's'}`,
    pending === 0 ? 'nothing to change' : `${pending} to change`,
    ...(pending === 0
      ? []
      : [
          `${sum(({ add }) => add.length)} to add`,
          `${sum(({ move }) => move.length)} to move`,
          `${sum(({ remove }) => remove.length)} to remove`,
        ]),
    ...(failed === 0 ? [] : [`${failed} that cannot be planned for`]),
  ];
  return parts.join(', ');
}
