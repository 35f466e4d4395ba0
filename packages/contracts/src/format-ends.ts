import type { CopyActivity, DataFormat } from '@dmg/model';
import type { CopyProperties, SinkProperties, SourceProperties } from './copy-properties.ts';
import type { TranslatorProperties } from './translator.ts';

/** The format of a dataset with what the copy's source says of it. */
export function sourceFormat(
  format: DataFormat, source: SourceProperties | undefined, translator: TranslatorProperties | undefined,
): DataFormat {
  if (format.type === 'DelimitedText') return { ...format, skipLineCount: source?.skipLineCount ?? format.skipLineCount };
  const collectionReference = translator?.collectionReference;
  return format.type === 'Json' && collectionReference !== undefined ? { ...format, collectionReference } : format;
}

/** The format of a dataset with what the copy's sink says of it. */
export function sinkFormat(format: DataFormat, sink: SinkProperties | undefined): DataFormat {
  if (format.type === 'DelimitedText') return { ...format, quoteAllText: sink?.quoteAllText ?? format.quoteAllText };
  const filePattern = sink?.filePattern;
  return format.type === 'Json' && filePattern !== undefined ? { ...format, filePattern } : format;
}

/** What is wrong with paths of a mapping; undefined when nothing is. */
export function pathProblem(translator: CopyProperties['translator'], copy: CopyActivity): string | undefined {
  if (translator === undefined) return undefined;
  const { source, sink } = copy;
  const { mappings } = translator.translator;
  if (source.format.type !== 'Json') {
    if (translator.pathsOf.source) return `maps by path, and the source is ${source.format.type}; give name or ordinal`;
    if (translator.collectionReference !== undefined) {
      return `gives a collectionReference, and the source is ${source.format.type}, which has none`;
    }
  } else if (translator.collectionReference !== undefined && mappings.length === 0) {
    return 'gives a collectionReference without mappings; map the columns that are wanted by their paths';
  }
  if (translator.pathsOf.sink && sink.format.type !== 'Json') {
    return `maps to a path, and the sink is ${sink.format.type}; give name or ordinal`;
  }
  return undefined;
}
