import type { Cidr } from '../../core/ip.ts';

/** One form of file that a program reads networks from. */
export interface FileFormat {
  /** @param mark stands in the file, and tells whose it is @param name of the target */
  write(networks: readonly Cidr[], mark: string, name: string): string;
  /** The networks of a file that `write` made with this mark; undefined for any other file. */
  read(text: string, mark: string): readonly string[] | undefined;
}

const NOTICE = 'what is written by hand here is lost';

/** Comments from `#` on, one network to a line. @param pattern whose first group is the network */
export function lineFormat(
  line: (network: Cidr, name: string) => string,
  pattern: RegExp,
): FileFormat {
  const head = (mark: string) => `# ${mark}: ${NOTICE}`;
  return {
    write(networks, mark, name) {
      return `${[head(mark), ...networks.map((network) => line(network, name))].join('\n')}\n`;
    },
    read(text, mark) {
      const [first, ...lines] = text.split('\n');
      if (first !== head(mark)) return undefined;
      return lines.filter((one) => one !== '').map((one) => pattern.exec(one)?.[1] ?? one);
    },
  };
}
