import { fillWith, h } from '../kit/dom';
import { emptyState } from '../kit/empty';
import { t } from '../kit/texts';
import type { ViewProps } from '../model';
import { bySeverity } from '../monitor/columns';
import { driftCards, driftSentence, type DriftMemory } from '../monitor/driftParts';
import type { Drift } from '../records';

/**
 * How the columns of data differ from a reference: a card for each, worst first. Reads `drift` (a `Drift` for each
 * column) of its model.
 */
export default {
  render({ model, el }: ViewProps): () => void {
    const view = h('div', { class: 'mlops-view mlops-drift' });
    const memory: DriftMemory = { unfolded: new Set(), all: false };
    const draw = (): void => {
      const columns = bySeverity(model.get<Drift[] | undefined>('drift') ?? []);
      if (columns.length) {
        fillWith(
          view,
          h('p', { class: 'mlops-monitor-sentence' }, driftSentence(columns)),
          driftCards(columns, null, memory)
        );
      } else {
        fillWith(
          view,
          emptyState(t('No column was compared'), t('Give data to compare with: mlops validate DATA --reference DATA'))
        );
      }
    };
    model.on('change:drift', draw);
    el.appendChild(view);
    draw();
    return () => {
      model.off('change:drift', draw);
      view.remove();
    };
  }
};
