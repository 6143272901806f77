// Loaded after the build: everything below imports what was built.
import fs from 'node:fs';
import type { ChaosOptions } from './options.ts';
import { renderOverload, renderOverloadPage, runOverload } from './overload.ts';
import { renderHtml } from './page.ts';
import { renderText, type Violation } from './report.ts';
import { runChaos } from './run.ts';
import type { Setting } from './setting.ts';
import { renderSlowParticipant, runSlowParticipant } from './slow-participant.ts';
import { renderSoak, renderSoakPage, runSoak } from './soak.ts';

/** Answers the exit code. */
export async function main(options: ChaosOptions, setting: Setting): Promise<number> {
  switch (options.command) {
    case 'run': return tell(options, await runChaos(options, setting), renderText, renderHtml);
    case 'overload': return tell(options, await runOverload(options, setting), renderOverload, renderOverloadPage);
    case 'soak': return tell(options, await runSoak(options, setting), renderSoak, renderSoakPage);
    case 'slow-participant': return tell(options, await runSlowParticipant(options, setting), renderSlowParticipant, null);
  }
}

/** @param report null: interrupted, so there is nothing to tell */
function tell<Report extends { readonly violations: readonly Violation[] }>({ json, html }: ChaosOptions, report: Report | null, text: (report: Report) => string, page: ((report: Report) => string) | null): number {
  if (report === null) return 130;
  process.stdout.write(`\n${text(report)}\n`);
  if (json !== null) fs.writeFileSync(json, `${JSON.stringify(report, null, 1)}\n`);
  if (html !== null && page !== null) fs.writeFileSync(html, page(report));
  return report.violations.length === 0 ? 0 : 1;
}
