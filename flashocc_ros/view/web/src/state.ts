/** What a reader has chosen, and the link that keeps it. */

export type ViewName = 'follow' | 'orbit' | 'top' | 'camera';
export type ColorName = 'class' | 'object' | 'height';
export type CompareName = 'prediction' | 'truth' | 'difference' | 'split' | 'blend';
export type UnseenName = 'fade' | 'show' | 'hide';

export const VIEWS: ViewName[] = ['follow', 'orbit', 'top'];
export const COLORS: ColorName[] = ['class', 'object', 'height'];
export const COMPARES: CompareName[] = ['prediction', 'truth', 'difference', 'split', 'blend'];
export const UNSEEN: UnseenName[] = ['fade', 'show', 'hide'];
export const SPEEDS = [0.25, 0.5, 1, 2, 4];

export interface State {
  frame: number;
  playing: boolean;
  speed: number;
  view: ViewName;
  /** Camera that is looked through, in the view `camera`. */
  camera: string;
  color: ColorName;
  compare: CompareName;
  /** Share of the truth in the comparison `blend`. */
  mix: number;
  unseen: UnseenName;
  /** Of the voxels over a picture. */
  overlay: number;
  labels: boolean;
  grid: boolean;
  cameras: boolean;
  path: boolean;
  /** Arrows of what moves. */
  motion: boolean;
  edges: boolean;
  hiddenClasses: ReadonlySet<number>;
  /** `p12` is object 12 of the prediction, `t12` that of the truth. */
  hiddenObjects: ReadonlySet<string>;
  selected: string;
  /** Eye and target of the free camera in metres, base frame; empty before it was moved. */
  eye: number[];
}

export function initialState(): State {
  return {
    frame: 0,
    playing: false,
    speed: 1,
    view: 'follow',
    camera: '',
    color: 'class',
    compare: 'prediction',
    mix: 0.5,
    unseen: 'fade',
    overlay: 0.55,
    labels: true,
    grid: true,
    cameras: true,
    path: true,
    motion: true,
    edges: true,
    hiddenClasses: new Set(),
    hiddenObjects: new Set(),
    selected: '',
    eye: [],
  };
}

type Listener = (changed: ReadonlySet<keyof State>) => void;

/** The one place that changes the state; listeners hear what has changed. */
export class Choices {
  readonly value = initialState();
  private readonly listeners: Listener[] = [];

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }

  set(patch: Partial<State>): void {
    const changed = new Set<keyof State>();
    for (const key of Object.keys(patch) as (keyof State)[]) {
      if (this.value[key] !== patch[key]) changed.add(key);
    }
    if (!changed.size) return;
    Object.assign(this.value, patch);
    for (const listener of this.listeners) listener(changed);
  }
}

export const FLAGS = ['labels', 'grid', 'cameras', 'path', 'motion', 'edges'] as const;
export type Flag = (typeof FLAGS)[number];

export function toLink(state: State): string {
  const usual = initialState();
  const link = new URLSearchParams();
  link.set('frame', String(state.frame + 1));
  link.set('view', state.view);
  if (state.view === 'camera') link.set('camera', state.camera);
  if (state.eye.length) link.set('eye', state.eye.map((v) => v.toFixed(2)).join(','));
  for (const key of ['color', 'compare', 'unseen', 'selected'] as const) {
    if (state[key] !== usual[key]) link.set(key, state[key]);
  }
  for (const key of ['mix', 'overlay', 'speed'] as const) {
    if (state[key] !== usual[key]) link.set(key, String(state[key]));
  }
  for (const key of FLAGS) if (!state[key]) link.set(key, 'off');
  if (state.hiddenClasses.size) link.set('hide', [...state.hiddenClasses].join(','));
  if (state.hiddenObjects.size) link.set('hide_objects', [...state.hiddenObjects].join(','));
  return `#${link}`;
}

/** What a link says; values that mean nothing are left out. */
export function fromLink(hash: string): Partial<State> {
  const link = new URLSearchParams(hash.replace(/^#/, ''));
  const patch: Partial<State> = {};
  const frame = Number(link.get('frame'));
  if (Number.isInteger(frame) && frame > 0) patch.frame = frame - 1;
  patch.view = chosen(link.get('view'), [...VIEWS, 'camera']);
  patch.color = chosen(link.get('color'), COLORS);
  patch.compare = chosen(link.get('compare'), COMPARES);
  patch.unseen = chosen(link.get('unseen'), UNSEEN);
  const speed = Number(link.get('speed'));
  if (SPEEDS.includes(speed)) patch.speed = speed;
  for (const key of ['mix', 'overlay'] as const) {
    const value = Number(link.get(key));
    if (link.has(key) && value >= 0 && value <= 1) patch[key] = value;
  }
  const eye = (link.get('eye') ?? '').split(',').map(Number);
  if (eye.length === 6 && eye.every(Number.isFinite)) patch.eye = eye;
  for (const key of FLAGS) if (link.get(key) === 'off') patch[key] = false;
  if (link.has('camera')) patch.camera = link.get('camera') ?? '';
  if (link.has('selected')) patch.selected = link.get('selected') ?? '';
  const classes = listed(link.get('hide')).map(Number).filter(Number.isInteger);
  if (classes.length) patch.hiddenClasses = new Set(classes);
  const objects = listed(link.get('hide_objects'));
  if (objects.length) patch.hiddenObjects = new Set(objects);
  for (const key of Object.keys(patch) as (keyof State)[]) if (patch[key] === undefined) delete patch[key];
  return patch;
}

function chosen<T extends string>(value: string | null, among: T[]): T | undefined {
  return among.find((name) => name === value);
}

function listed(text: string | null): string[] {
  return (text ?? '').split(',').filter(Boolean);
}
