import { h } from './dom';
import { icon, type IconName } from './icons';
import { t } from './texts';

/** How a badge looks: by colour, shape and words at once, never by colour alone. */
export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'plain';

/** What is known of the states and verdicts of records: their tone, shape and words. */
const STATES: Record<string, [Tone, IconName, string]> = {
  finished: ['good', 'check', 'finished'],
  succeeded: ['good', 'check', 'succeeded'],
  done: ['good', 'check', 'done'],
  ok: ['good', 'check', 'ok'],
  passed: ['good', 'check', 'passed'],
  pass: ['good', 'check', 'passed'],
  identical: ['good', 'check', 'identical'],
  tolerance: ['good', 'check', 'within tolerance'],
  proved: ['good', 'check', 'proved by replay'],
  minimal: ['good', 'check', 'proved, and minimal'],
  cached: ['plain', 'check', 'unchanged'],
  running: ['busy', 'refresh', 'running'],
  queued: ['plain', 'clock', 'waiting'],
  waiting: ['plain', 'clock', 'waiting'],
  pending: ['plain', 'clock', 'waiting'],
  scheduled: ['plain', 'clock', 'scheduled'],
  paused: ['plain', 'pause', 'paused'],
  skipped: ['plain', 'right', 'skipped'],
  cancelled: ['warn', 'stop', 'cancelled'],
  killed: ['warn', 'stop', 'killed'],
  stale: ['warn', 'warning', 'stale'],
  warning: ['warn', 'warning', 'warning'],
  drift: ['warn', 'warning', 'drift'],
  different: ['bad', 'close', 'different'],
  failed: ['bad', 'close', 'failed'],
  fail: ['bad', 'close', 'failed'],
  error: ['bad', 'close', 'error'],
  refused: ['bad', 'close', 'refused'],
  down: ['bad', 'close', 'down']
};

/** A badge of a state or verdict, for example FINISHED, identical or failed; what is not known is shown plainly. */
export function stateBadge(state: string, title = ''): HTMLElement {
  const [tone, shape, words] = STATES[state.toLowerCase()] ?? ['plain', 'info', state.toLowerCase()];
  return badge(tone, shape, t(words), title);
}

/** A badge of one's own. */
export function badge(tone: Tone, shape: IconName | null, words: string, title = ''): HTMLElement {
  const attributes = { class: `mlops-badge mlops-${tone}`, title: title || null };
  return h('span', attributes, shape && icon(shape), h('span', {}, words));
}

/** The tone of a state or verdict, for a graph's node or a chart's bar. */
export function tone(state: string): Tone {
  return STATES[state.toLowerCase()]?.[0] ?? 'plain';
}
