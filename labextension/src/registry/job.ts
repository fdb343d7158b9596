import type { Context } from '../context';
import { t } from '../kit/texts';
import type { JobEnd, JobEvent } from '../server';

/** Where a job says what it does; `cancel` stops it while it goes on. */
export interface JobStage {
  say(words: string): void;
  cancel: (() => void) | null;
}

/** Do long work, say how it goes, and give its answer; an answer that is "no" is one too. Rejects with one sentence. */
export async function work<T>(
  context: Context,
  verb: string,
  args: object,
  stage: JobStage,
  folder = context.folder
): Promise<T> {
  const job = await context.server.start(verb, args, folder);
  stage.cancel = () => void job.cancel().catch(() => undefined);
  job.listen(event => {
    const told = words(event);
    if (told) {
      stage.say(told);
    }
  });
  const end: JobEnd = await job.done;
  stage.cancel = null;
  if (!end.answer) {
    throw new Error(end.error || t('It ended without an answer: try it again.'));
  }
  return end.answer as T;
}

/** What a line of a job says that it does now ("doing this ..."); "" for others, such as the warnings of libraries. */
function words(event: JobEvent): string {
  const told = event.event === 'said' ? String(event.text ?? '') : '';
  return told.endsWith(' ...') ? told.slice(0, -4) : '';
}
