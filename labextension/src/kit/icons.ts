import { h, s, type Attributes } from './dom';

/** The icons by name: paths in a box of 16 by 16, drawn in the colour of the text around them. */
const PATHS = {
  runs: 'M2 3.5h8M2 8h12M2 12.5h6',
  data:
    'M2.5 4c0-1.2 2.5-2 5.5-2s5.5.8 5.5 2-2.5 2-5.5 2-5.5-.8-5.5-2v8c0 1.2 2.5 2 5.5 2s5.5-.8 5.5-2V4M2.5 8c0 1.2 2.5 2 5.5 2s5.5-.8 5.5-2',
  pipelines: 'M2 2.5h4v4H2zM10 9.5h4v4h-4zM4 6.5v5h6M10 2.5h4v4h-4zM6 4.5h4',
  models: 'M8 1.5l6 3.3v6.400l-6 3.3-6-3.3V4.800zM2 4.800l6 3.200 6-3.200M8 8v6.5',
  monitor: 'M1.5 8.5h3l2-5 3 9 2-5.5h3',
  play: 'M4.5 2.5v11l9-5.5z',
  replay: 'M3 8a5 5 0 1 0 1.600-3.700M4.600 1.5v2.800h2.800',
  stop: 'M3.5 3.5h9v9h-9z',
  pause: 'M5 3v10M11 3v10',
  compare: 'M8 1.5v13M6 4H2v8h4M10 4h4v8h-4',
  slice: 'M3.5 2.5l9 7.5M3.5 13.5l9-7.5M3.700 12.3a1.5 1.5 0 1 0 .1 0M3.700 3.700a1.5 1.5 0 1 0 .1 0',
  step: 'M2 3h9v10H2zM5 6h3M5 9h3M11 8h3.5M13 6l2 2-2 2',
  cell: 'M2 3.5h12v9H2zM4.5 6.5L6 8l-1.5 1.5M8 10h3',
  open: 'M9.5 2.5h4v4M13.5 2.5L8 8M12 9.5v4H2.5V4h4',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  tag: 'M2 2h5.5L14 8.5 8.5 14 2 7.5zM5 4.900a.1.1 0 1 0 .1 0',
  note: 'M3 2h10v12H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3',
  trash: 'M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.600L12 4M6.700 6.5v4.5M9.3 6.5v4.5',
  search: 'M7 2.5a4.5 4.5 0 1 0 .1 0M10.3 10.3l3.700 3.700',
  refresh: 'M13 8a5 5 0 1 1-1.600-3.700M11.400 1.5v2.800H8.600',
  more: 'M3.5 8h.1M8 8h.1M12.5 8h.1',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  warning: 'M8 2L1.5 13.5h13zM8 6.5v3.5M8 12h.1',
  info: 'M8 1.5a6.5 6.5 0 1 0 .1 0M8 7v4.5M8 4.5h.1',
  add: 'M8 3v10M3 8h10',
  right: 'M6 3.5L10.5 8 6 12.5',
  down: 'M3.5 6L8 10.5 12.5 6',
  up: 'M3.5 10L8 5.5l4.5 4.5',
  clock: 'M8 1.5a6.5 6.5 0 1 0 .1 0M8 4.5V8l2.5 1.5',
  shield: 'M8 1.5l5.5 2v4.5c0 3.5-2.5 5.5-5.5 6.5-3-1-5.5-3-5.5-6.5V3.5zM5.5 8l2 2 3-4',
  table: 'M2 3h12v10H2zM2 6.5h12M2 9.700h12M6.5 3v10',
  link: 'M6.5 9.5l3-3M7 4.5l1.5-1.5a3 3 0 0 1 4.5 4.5L11.5 9M4.5 7L3 8.5A3 3 0 0 0 7.5 13L9 11.5'
} as const;

/** The name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon as an SVG element; hidden from screen readers unless it has a label. */
export function icon(name: IconName, label = ''): SVGElement {
  const attributes = label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true', focusable: 'false' };
  return s(
    'svg',
    { class: `mlops-icon mlops-icon-${name}`, viewBox: '0 0 16 16', ...STROKE, ...attributes },
    path(name)
  );
}

/** A small button that shows an icon; its label is its name and its tooltip. */
export function iconButton(
  name: IconName,
  label: string,
  act: (event: MouseEvent) => void,
  attributes: Attributes = {}
): HTMLButtonElement {
  const { on, ...others } = attributes;
  const known = { type: 'button', class: 'mlops-icon-button', title: label, 'aria-label': label };
  return h('button', { ...known, ...others, on: { ...on, click: act } }, icon(name));
}

/** An icon as SVG source, for JupyterLab's LabIcon, in the colour of JupyterLab's own icons. */
export function svgText(name: IconName): string {
  const shape = `<path class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.4" d="${PATHS[name]}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">${shape}</svg>`;
}

const STROKE = {
  fill: 'none',
  stroke: 'currentColor',
  'stroke-width': 1.4,
  'stroke-linecap': 'round',
  'stroke-linejoin': 'round'
};

function path(name: IconName): SVGElement {
  return s('path', { d: PATHS[name] });
}
