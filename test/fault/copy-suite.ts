import { seededRandom } from '@dmg/base';
import { type CleanupContext, CleanupScope, onCleanup } from '../harness/cleanup.ts';
import { type CopyKind, copyKinds } from './copy-kinds.ts';
import { type CopyPace, type CopyRoundResult, drawCopyRounds, isCleanCopy, measurePace, runCopyRound } from './copy-rounds.ts';
import { openStage } from './copy-stage.ts';

export interface CopySuiteOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Only this one of them. */
  readonly only?: number;
  readonly lateMsMax: number;
  /** No undisturbed copies before the rounds, which then are struck where such copies usually are under way. */
  readonly isShort?: boolean;
  readonly onRound: (result: CopyRoundResult) => void;
}

export interface CopyVerdict {
  readonly rounds: number;
  readonly missed: number;
  readonly attempts: number;
  readonly done: number;
  readonly aborted: number;
  readonly snapshots: number;
  readonly lost: number;
  readonly doubled: number;
  readonly changed: number;
  /** In words, with the number of the round; empty: all is as it must be. */
  readonly problems: readonly string[];
}

const usualPace: CopyPace = { changes: 30, statements: 60, commits: 8 };

/** Copies between real stores, one a round, each struck as the seed says, and each judged inside its sink. */
export async function runCopySuite(context: CleanupContext, options: CopySuiteOptions): Promise<CopyVerdict> {
  const { seed, rounds: count, only, lateMsMax, onRound } = options;
  // It ends here, so that what does not end is told.
  const scope = new CleanupScope();
  onCleanup(context, () => scope.close());
  const results: CopyRoundResult[] = [];
  const problems: string[] = [];
  const note = (result: CopyRoundResult): void => {
    results.push(result);
    onRound(result);
  };
  try {
    const stage = await openStage(scope, seed);
    const paces = new Map<CopyKind, CopyPace>();
    const rounds = drawCopyRounds(seededRandom(seed), count, lateMsMax).filter(({ number }) => only === undefined || number === only);
    for (const kind of copyKinds.filter((one) => rounds.some((round) => round.kind === one))) {
      if (options.isShort === true) {
        paces.set(kind, usualPace);
        continue;
      }
      const { pace, result } = await measurePace(stage, kind);
      paces.set(kind, pace);
      note(result);
    }
    for (const round of rounds) {
      const pace = paces.get(round.kind);
      if (pace !== undefined) note(await runCopyRound(stage, round, pace));
    }
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await scope.close().catch((error: unknown) => problems.push(error instanceof Error ? error.message : String(error)));
  }
  return verdictOf(results, problems);
}

function verdictOf(results: readonly CopyRoundResult[], problems: readonly string[]): CopyVerdict {
  const sum = (value: (result: CopyRoundResult) => number): number => results.reduce((total, result) => total + value(result), 0);
  const count = (is: (result: CopyRoundResult) => boolean): number => results.filter(is).length;
  return {
    rounds: results.length, missed: count(({ hit }) => !hit), attempts: sum(({ attempts }) => attempts),
    done: count(({ end }) => end === 'done'), aborted: count(({ end }) => end === 'aborted'),
    snapshots: count(({ consistency, moves }) => moves > 0 && consistency === 'snapshot'),
    lost: sum(({ findings }) => findings.lost), doubled: sum(({ findings }) => findings.doubled),
    changed: sum(({ findings }) => findings.changed),
    problems: [
      ...problems,
      ...results.filter((result) => !isCleanCopy(result)).map(({ number, kind, fault, end, findings }) =>
        `round ${number} (${kind}, ${fault}) ${end}: ${JSON.stringify(findings)}`),
    ],
  };
}

export function describeCopyVerdict(verdict: CopyVerdict): string {
  const { rounds, missed, attempts, done, aborted, snapshots, lost, doubled, changed, problems } = verdict;
  const facts = `${attempts} attempts, ${done} done, ${aborted} aborted, ${missed} struck too late`;
  const end = problems.length === 0 ? 'all as it must be' : `${problems.length} PROBLEMS`;
  const found = `${lost} lost, ${doubled} doubled, ${changed} changed`;
  return `copy: ${rounds} rounds, ${found}; ${facts}; ${snapshots} moving tables at one moment; ${end}`;
}
