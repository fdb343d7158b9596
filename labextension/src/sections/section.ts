import type { LabIcon } from '@jupyterlab/ui-components';
import type { Widget } from '@lumino/widgets';

import type { Change } from '../context';

/** One section of the panel. */
export interface Section {
  /** runs, data, pipelines, models or monitor. */
  readonly id: string;
  /** Its heading, in the reader's language. */
  readonly title: string;
  readonly icon?: LabIcon;
  readonly widget: Widget;
  /** The changes that make what it shows old; `place` always does. */
  readonly concerns: readonly Change[];
  /**
   * Ask again: called when the section comes on view, and while it is, at each change that concerns it. Never throws.
   */
  refresh(): void;
  /** The section came on view (the panel is shown and the section unfolded), or went. */
  setVisible(visible: boolean): void;
  /**
   * What to remember of it between sessions: plain JSON, given back to `restore`; call `context.keep()` when it
   * changes. Optional.
   */
  remember?(): Record<string, unknown>;
  restore?(remembered: Record<string, unknown>): void;
  /** Show one thing of it: a run by its id, for instance. Optional. */
  reveal?(id: string): void;
}
