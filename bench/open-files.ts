interface Report {
  readonly userLimits: { readonly open_files: { readonly hard: number | string } };
}

/** More than any row needs. */
const ENOUGH = 60_000;

/** How many files a program that is started here may have open. */
export function openFilesLimit(): number {
  const { hard } = (process.report.getReport() as Report).userLimits.open_files;
  return Math.min(ENOUGH, Number(hard) || ENOUGH);
}
