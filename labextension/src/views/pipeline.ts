import { details, actionsOf } from '../graph/details';
import { geometry, type Geometry } from '../graph/geometry';
import { openMenu } from '../graph/menu';
import { detail, isBusy, lookOf, progress } from '../graph/steps';
import { fillWith, h, s, unique } from '../kit/dom';
import { icon } from '../kit/icons';
import { t } from '../kit/texts';
import type { Model, ViewProps } from '../model';
import type { Layout, StepPlan, StepRun } from '../records';

/*
 * The graph of a pipeline with the states of its steps. Its model has
 *   name      what the graph is called
 *   graph     where the nodes stand (Layout, of `drawing.layout`); ipywidgets has a `layout` of its own
 *   steps     what became of the steps: StepRun[], [] when nothing ran yet
 *   plan      what would be done with them: StepPlan[]; it is shown instead of the states while there is one
 *   selected  the chosen step, "" for none; the view sets it, too
 *   actions   what its user may ask for: logs, notebook, source, from, only, force; sent as {do, step}
 */

/** A node on the page. */
interface Node {
  button: HTMLButtonElement;
  words: HTMLElement;
  bar: HTMLElement;
}

const EMPTY: Layout = { nodes: {}, trails: [] };

/** Draws the graph, and draws again only what changed. */
class Graph {
  constructor(
    private readonly _model: Model,
    private readonly _el: HTMLElement
  ) {
    this._lines = s('svg', { class: 'mlops-graph-lines', 'aria-hidden': 'true' });
    this._canvas = h('div', {
      class: 'mlops-graph-canvas',
      role: 'group',
      on: { keydown: (event: KeyboardEvent) => this._key(event) }
    });
    this._scroll = h('div', { class: 'mlops-graph-scroll' }, this._canvas);
    this._details = h('div', { class: 'mlops-graph-details', 'aria-live': 'polite' });
    _el.classList.add('mlops-view', 'mlops-graph');
    fillWith(_el, this._scroll, this._details);
    const marks: [string, () => void][] = [
      ['graph', () => this._build()],
      ['name', () => this._build()],
      ['steps', () => this._update()],
      ['plan', () => this._update()],
      ['selected', () => this._update()],
      ['actions', () => this._update()]
    ];
    for (const [name, handler] of marks) {
      _model.on(`change:${name}`, handler);
      this._handlers.push([`change:${name}`, handler]);
    }
    this._observer = new ResizeObserver(() => this._resized());
    this._observer.observe(this._scroll);
    this._build();
  }

  dispose(): void {
    this._observer.disconnect();
    clearInterval(this._timer);
    this._handlers.forEach(([event, handler]) => this._model.off(event, handler));
    this._el.replaceChildren();
  }

  private _resized(): void {
    const room = this._scroll.clientWidth;
    if (room > 0 && Math.abs(room - this._room) > 1) {
      this._build();
    }
  }

  private _build(): void {
    const layout = this._model.get<Layout | undefined>('graph') ?? EMPTY;
    this._room = this._scroll.clientWidth || 240;
    this._geometry = geometry(layout, this._room);
    const { boxes, lines, width, height } = this._geometry;
    const focused = [...this._nodes].find(([, node]) => node.button === document.activeElement)?.[0];
    this._canvas.style.width = `${width}px`;
    this._canvas.style.height = `${height}px`;
    this._canvas.setAttribute('aria-label', t('Steps of %1', this._model.get('name') ?? ''));
    const head = unique('mlops-arrow');
    const tip = s('path', { d: 'M0 0L7 4L0 8z', class: 'mlops-graph-tip' });
    const marker = {
      id: head,
      viewBox: '0 0 7 8',
      refX: 2,
      refY: 4,
      markerWidth: 7,
      markerHeight: 8,
      orient: 'auto',
      markerUnits: 'userSpaceOnUse'
    };
    const drawn = lines.map(({ source, target, d }) =>
      s('path', { d, data: { source, target }, 'marker-end': `url(#${head})` })
    );
    fillWith(this._lines, s('defs', {}, s('marker', marker, tip)), drawn);
    this._lines.setAttribute('width', String(width));
    this._lines.setAttribute('height', String(height));
    this._nodes.clear();
    for (const [name, box] of boxes) {
      const node = this._node(name);
      Object.assign(node.button.style, {
        left: `${box.left}px`,
        top: `${box.top}px`,
        width: `${box.width}px`,
        height: `${box.height}px`
      });
      this._nodes.set(name, node);
    }
    fillWith(
      this._canvas,
      this._lines,
      [...this._nodes.values()].map(node => node.button)
    );
    this._update();
    if (focused) {
      this._nodes.get(focused)?.button.focus();
    }
  }

  private _node(name: string): Node {
    const words = h('span', { class: 'mlops-node-words' });
    const bar = h('span', { class: 'mlops-node-bar' });
    const on = {
      click: () => this._select(name),
      contextmenu: (event: Event) => {
        event.preventDefault();
        event.stopPropagation();
        this._menu(name);
      }
    };
    const button = h('button', { type: 'button', class: 'mlops-node', data: { step: name }, on });
    return { button, words, bar };
  }

  private _update(): void {
    const busy = this._states().some(isBusy);
    clearInterval(this._timer);
    // A step at work counts its seconds, as long as somebody can see it.
    this._timer = busy ? window.setInterval(() => this._el.offsetParent !== null && this._tick(), 1000) : undefined;
    const selected = this._model.get<string>('selected') ?? '';
    const first = this._nodes.has(selected) ? selected : [...this._nodes.keys()][0];
    for (const [name, node] of this._nodes) {
      const [run, plan] = this._of(name);
      const look = lookOf(run, plan);
      const words = detail(look, run);
      const key = `${look.state}|${name === selected}|${name === first}`;
      if (node.button.dataset.key !== key) {
        node.button.className = `mlops-node mlops-${look.tone}${name === selected ? ' mlops-selected' : ''}`;
        node.button.dataset.key = key;
        node.button.dataset.state = look.state.replace('plan-', '');
        node.button.tabIndex = name === first ? 0 : -1;
        node.button.setAttribute('aria-pressed', String(name === selected));
        fillWith(node.button, icon(look.shape), h('span', { class: 'mlops-node-name' }, name), node.words, node.bar);
      }
      node.words.textContent = words;
      node.bar.style.width = `${100 * (progress(run) ?? 0)}%`;
      node.button.title = `${name} · ${words}`;
      node.button.setAttribute('aria-label', `${name}, ${look.words}, ${words}`);
    }
    for (const line of this._lines.querySelectorAll<SVGElement>('path[data-source]')) {
      const from = this._of(line.dataset.source ?? '')[0]?.state ?? '';
      line.classList.toggle(
        'mlops-flowing',
        isBusy(this._of(line.dataset.target ?? '')[0]) && ['done', 'cached'].includes(from)
      );
    }
    this._detail(selected);
  }

  private _tick(): void {
    for (const [name, node] of this._nodes) {
      const [run, plan] = this._of(name);
      if (isBusy(run)) {
        node.words.textContent = detail(lookOf(run, plan), run);
      }
    }
  }

  private _detail(selected: string): void {
    const [run, plan] = this._of(selected);
    const told = this._nodes.has(selected) ? JSON.stringify([selected, run, plan, this._actions()]) : '';
    if (told !== this._told) {
      this._told = told;
      const act = (action: string): void => this._model.send({ do: action, step: selected });
      fillWith(this._details, told ? details(selected, run, plan, this._actions(), act) : null);
    }
  }

  private _select(name: string): void {
    this._model.set('selected', this._model.get('selected') === name ? '' : name);
    this._model.save_changes();
  }

  private _menu(name: string): void {
    const node = this._nodes.get(name);
    const entries = actionsOf(this._actions(), this._of(name)[0]);
    if (node && entries.length) {
      const act = (action: string) => (): void => this._model.send({ do: action, step: name });
      const told = entries.map(([action, words]) => ({ words, act: act(action) }));
      openMenu(this._el, node.button, t('Step %1', name), told);
    }
  }

  /** Arrows go to the nearest node in their direction; the menu key and Shift+F10 open the menu of a node. */
  private _key(event: KeyboardEvent): void {
    const name = (event.target as HTMLElement).dataset.step;
    if (!name || !this._geometry) {
      return;
    }
    if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) {
      this._menu(name);
    } else {
      const next = nearest(this._geometry, name, event.key);
      if (!next) {
        return;
      }
      this._nodes.forEach((node, other) => (node.button.tabIndex = other === next ? 0 : -1));
      this._nodes.get(next)?.button.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private _actions(): string[] {
    return this._model.get<string[] | undefined>('actions') ?? [];
  }

  private _states(): StepRun[] {
    return this._model.get<StepRun[] | undefined>('steps') ?? [];
  }

  private _of(name: string): [StepRun | undefined, StepPlan | undefined] {
    const plan = this._model.get<StepPlan[] | undefined>('plan') ?? [];
    return [this._states().find(step => step.step === name), plan.find(step => step.step === name)];
  }

  private readonly _lines: SVGElement;
  private readonly _canvas: HTMLElement;
  private readonly _scroll: HTMLElement;
  private readonly _details: HTMLElement;
  private readonly _nodes = new Map<string, Node>();
  private readonly _handlers: [string, () => void][] = [];
  private readonly _observer: ResizeObserver;
  private _geometry: Geometry | undefined;
  private _room = 0;
  private _told = '';
  private _timer: number | undefined;
}

/** The node that an arrow leads to: along the graph one of the next layer, else the neighbour in its own. */
function nearest(drawn: Geometry, name: string, key: string): string | undefined {
  const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
  const own = drawn.boxes.get(name);
  if (!own || (!x && !y)) {
    return undefined;
  }
  const along = drawn.across === (x !== 0);
  const found = [...drawn.boxes].flatMap(([other, box]) => {
    const [dx, dy] = [box.left - own.left, box.top - own.top];
    const [ahead, aside] = x ? [dx * x, Math.abs(dy)] : [dy * y, Math.abs(dx)];
    return ahead > 1 && (along || aside < 1) ? [{ other, ahead, aside }] : [];
  });
  return found.sort((a, b) => a.ahead - b.ahead || a.aside - b.aside)[0]?.other;
}

/** Show the graph of a pipeline in an element; gives back how to take it away. */
export function render({ model, el }: ViewProps): () => void {
  const graph = new Graph(model, el);
  return () => graph.dispose();
}

export default { render };
