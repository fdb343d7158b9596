import { button, fillWith, h } from '../kit/dom';
import { iconButton } from '../kit/icons';
import { Table, type Sort } from '../kit/table';
import { t } from '../kit/texts';
import type { Model, ViewProps } from '../model';
import type { Run } from '../records';
import { columnsOf, namesOf, rangeOf, roomOf } from '../runs/columns';
import { detailOf, type Outcome, type Work } from '../runs/detail';

/**
 * A table of runs that unfold. Of its model it reads and writes
 * - `runs`: the runs; null stands for one that is not here yet; {do: 'page', from, to} tells which are on view;
 * - `selected`: the ids of those that are ticked; `unfolded`: the ids of those that are unfolded;
 * - `metric`, `param`: what is shown beside the names; "" is nothing, undefined the metric that most runs have;
 * - `sort`: {column, descending} or null; where `actions` has 'sort', the model's owner sorts, else the table;
 * - `work`, `outcomes`: by id, what goes on with a run, and how it ended;
 * - `reveal`: the id of a run to scroll to and unfold.
 * It sends {do, run} for what is asked for a run, {do: 'compare', runs}, {do: 'delete', runs}, {do: 'sort', sort},
 * {do: 'unfold', run}.
 */
export default {
  render({ model, el }: ViewProps): () => void {
    const view = new RunsView(model, el);
    return () => view.dispose();
  }
};

const WATCHED = [
  'runs',
  'stories',
  'selected',
  'metric',
  'param',
  'sort',
  'work',
  'outcomes',
  'actions',
  'reveal'
] as const;

class RunsView {
  constructor(
    private readonly _model: Model,
    private readonly _el: HTMLElement
  ) {
    _el.classList.add('mlops-view', 'mlops-runs');
    const actions = this._actions;
    this._choices = h('div', { class: 'mlops-toolbar mlops-choices' });
    this._bar = h('div', { class: 'mlops-toolbar mlops-selection', 'aria-live': 'polite' });
    this._table = new Table<Run>({
      label: t('Runs'),
      columns: [],
      key: run => run.id,
      name: run => run.name || run.id,
      selectable: true,
      sort: _model.get('sort') ?? null,
      onSort: actions.includes('sort') ? sort => this._sort(sort) : undefined,
      onSelect: keys => this._set('selected', keys),
      detail: run => this._detail(run),
      onView: actions.includes('page') ? (from, to) => _model.send({ do: 'page', from, to }) : undefined
    });
    this._table.unfolded = _model.get('unfolded') ?? [];
    fillWith(_el, this._choices, this._bar, this._table.element);
    for (const name of WATCHED) {
      const handler = (): void => this._update(name);
      this._handlers.set(name, handler);
      _model.on(`change:${name}`, handler);
    }
    this._width = new ResizeObserver(() => this._resized());
    this._width.observe(_el);
    this._room = roomOf(_el.clientWidth);
    this._update('runs');
    this._update('selected');
  }

  dispose(): void {
    for (const [name, handler] of this._handlers) {
      this._model.off(`change:${name}`, handler);
    }
    this._width.disconnect();
    this._table.dispose();
    fillWith(this._el);
  }

  private get _actions(): string[] {
    return this._model.get<string[] | undefined>('actions') ?? [];
  }

  private get _runs(): (Run | null)[] {
    return this._model.get<(Run | null)[] | undefined>('runs') ?? [];
  }

  private _update(name: string): void {
    switch (name) {
      case 'selected':
        this._table.selected = this._model.get<string[] | undefined>('selected') ?? [];
        this._drawBar();
        break;
      case 'sort':
        this._table.sort = this._model.get<Sort | null | undefined>('sort') ?? null;
        break;
      case 'stories':
      case 'work':
      case 'outcomes':
        this._table.redraw();
        break;
      case 'reveal':
        this._reveal();
        break;
      default:
        this._drawRows();
        this._reveal();
    }
  }

  private _drawRows(): void {
    const names = namesOf(this._runs);
    const metric = this._model.get<string | undefined>('metric') ?? names.metrics[0] ?? '';
    const param = this._model.get<string | undefined>('param') ?? '';
    const range = rangeOf(this._runs, metric);
    const look = JSON.stringify([
      metric,
      param,
      this._room,
      range,
      names.metrics.slice(0, 5),
      names.params.slice(0, 5)
    ]);
    if (look !== this._look) {
      this._look = look;
      this._table.setColumns(columnsOf({ metric, param, ...this._room }, range, names));
    }
    this._drawChoices(names, metric, param);
    this._keepDelivered();
    this._table.setRows(this._runs.map(run => run ?? undefined));
  }

  /** Once a run is delivered it has MLflow's id: it stays unfolded and selected as it was under ours. */
  private _keepDelivered(): void {
    const delivered = new Map(this._runs.flatMap(run => (run && run.own_id !== run.id ? [[run.own_id, run.id]] : [])));
    const renamed = (keys: readonly string[]): string[] => keys.map(key => delivered.get(key) ?? key);
    const { unfolded, selected } = this._table;
    if (unfolded.some(key => delivered.has(key))) {
      this._table.unfolded = renamed(unfolded);
    }
    if (selected.some(key => delivered.has(key))) {
      this._set('selected', renamed(selected));
    }
  }

  /** The lists of metrics and parameters; left alone while they say the same, since one of them may be open. */
  private _drawChoices(names: { metrics: string[]; params: string[] }, metric: string, param: string): void {
    names.metrics.forEach(name => this._metrics.add(name));
    names.params.forEach(name => this._params.add(name));
    const look = JSON.stringify([metric, param, this._metrics.size, this._params.size]);
    if (look !== this._chosen) {
      this._chosen = look;
      fillWith(
        this._choices,
        this._choice(t('Metric'), 'metric', [...this._metrics], metric, t('no metric')),
        this._choice(t('Parameter'), 'param', [...this._params], param, t('no parameter'))
      );
    }
    this._choices.hidden = !this._metrics.size && !this._params.size;
  }

  private _choice(label: string, name: string, all: readonly string[], chosen: string, none: string): HTMLElement {
    const options = ['', ...new Set([...all, ...(chosen ? [chosen] : [])])].map(value =>
      h('option', { value, selected: value === chosen }, value || none)
    );
    const change = (event: Event): void => this._set(name, (event.target as HTMLSelectElement).value);
    return h('select', { class: 'mlops-input', 'aria-label': label, title: label, on: { change } }, options);
  }

  private _drawBar(): void {
    const selected = this._table.selected;
    const runs = { runs: selected };
    const compare = this._actions.includes('compare')
      ? button(t('Compare'), () => this._model.send({ do: 'compare', ...runs }), {
          class: 'mlops-button mlops-primary',
          disabled: selected.length < 2,
          title: selected.length < 2 ? t('Select another run to compare') : null
        })
      : null;
    const remove = this._actions.includes('delete')
      ? iconButton('trash', t('Delete the selected runs'), () => this._model.send({ do: 'delete', ...runs }))
      : null;
    const clear = iconButton('close', t('Select none'), () => this._set('selected', []));
    const words = h('span', { class: 'mlops-grow' }, t('%1 selected', selected.length));
    fillWith(this._bar, selected.length > 0 && [words, compare, remove, clear]);
    this._bar.hidden = !selected.length;
  }

  private _detail(run: Run): HTMLElement {
    if (this._actions.includes('unfold') && !this._told.has(run.id)) {
      this._told.add(run.id);
      queueMicrotask(() => this._model.send({ do: 'unfold', run: run.id }));
    }
    const whole = this._model.get<Record<string, Run> | undefined>('stories')?.[run.id];
    return detailOf(whole ? { ...run, series: { ...run.series, ...whole.series } } : run, {
      actions: this._actions,
      work: this._model.get<Record<string, Work> | undefined>('work')?.[run.id],
      outcome: this._model.get<Record<string, Outcome> | undefined>('outcomes')?.[run.id],
      send: action => this._model.send(action)
    });
  }

  private _reveal(): void {
    const id = this._model.get<string | undefined>('reveal');
    // A kernel knows its runs by ids of our own, which MLflow's take the place of once they are delivered.
    const run = id ? this._runs.find(one => one?.id === id || one?.own_id === id) : null;
    if (run && this._table.reveal(run.id)) {
      this._set('reveal', '');
    }
  }

  private _sort(sort: Sort): void {
    this._set('sort', sort);
    this._model.send({ do: 'sort', sort });
  }

  private _set(name: string, value: unknown): void {
    this._model.set(name, value);
    this._model.save_changes();
    if (name === 'selected') {
      this._drawBar();
    }
  }

  private _resized(): void {
    const room = roomOf(this._el.clientWidth);
    if (this._el.clientWidth && JSON.stringify(room) !== JSON.stringify(this._room)) {
      this._room = room;
      this._drawRows();
    }
  }

  private _room = roomOf(0);
  private _look = '';
  private _chosen = '';
  private readonly _metrics = new Set<string>();
  private readonly _params = new Set<string>();
  private readonly _told = new Set<string>();
  private readonly _handlers = new Map<string, () => void>();
  private readonly _choices: HTMLElement;
  private readonly _bar: HTMLElement;
  private readonly _table: Table<Run>;
  private readonly _width: ResizeObserver;
}
