/** The keyboard, and the page that lists it. */

import type { App } from './app';
import { element } from './dom';
import type { Strip } from './strip';
import type { Timeline } from './timeline';
import { COLORS, COMPARES, VIEWS, type Flag, type State } from './state';

interface Key {
  keys: string[];
  shown: string;
  does: string;
  run: () => void;
}

export interface Commands {
  timeline: Timeline;
  strip: Strip;
  picture: () => void;
  link: () => void;
  help: () => void;
}

export function keysOf(app: App, commands: Commands): Key[] {
  const { timeline } = commands;
  const set = (patch: Partial<State>) => app.choices.set(patch);
  const flip = (key: Flag) => set({ [key]: !app.state[key] });
  const cycle = <T>(values: T[], value: T): T => values[(values.indexOf(value) + 1) % values.length];
  const key = (keys: string, shown: string, does: string, run: () => void): Key => ({ keys: keys.split(' '), shown, does, run });
  return [
    { keys: [' '], shown: 'Space', does: 'play or pause', run: () => timeline.toggle() },
    key('ArrowRight .', '→', 'next frame', () => timeline.step(1)),
    key('ArrowLeft ,', '←', 'previous frame', () => timeline.step(-1)),
    key('Home', 'Home', 'first frame', () => timeline.go(0)),
    key('End', 'End', 'last frame', () => timeline.go(Infinity)),
    key(']', ']', 'faster', () => timeline.faster(1)),
    key('[', '[', 'slower', () => timeline.faster(-1)),
    key('1', '1', 'follow the vehicle', () => set({ view: VIEWS[0] })),
    key('2', '2', 'orbit, the world stands still', () => set({ view: VIEWS[1] })),
    key('3', '3', 'from above', () => set({ view: VIEWS[2] })),
    key('4', '4', 'through the next camera', () => nextCamera(app)),
    key('c', 'C', 'colour by class, object, height', () => set({ color: cycle(COLORS, app.state.color) })),
    key('d', 'D', 'prediction, truth, difference, side by side, blend', () => set({ compare: cycle(COMPARES, app.state.compare) })),
    key('l', 'L', 'labels', () => flip('labels')),
    key('g', 'G', 'rings with distances', () => flip('grid')),
    key('v', 'V', 'cameras in the scene', () => flip('cameras')),
    key('t', 'T', 'path', () => flip('path')),
    key('m', 'M', 'arrows of what moves', () => flip('motion')),
    key('e', 'E', 'edges', () => flip('edges')),
    key('+ =', '+', 'nearer', () => app.stage.zoom(0.85)),
    key('-', '−', 'farther', () => app.stage.zoom(1 / 0.85)),
    key('a', 'A', 'turn left', () => app.stage.turn(-0.15)),
    key('s', 'S', 'turn right', () => app.stage.turn(0.15)),
    key('r', 'R', 'the usual view again', () => app.choices.set({ eye: [] })),
    key('p', 'P', 'save a picture', commands.picture),
    key('k', 'K', 'copy a link to this view and frame', commands.link),
    key('?', '?', 'this list', commands.help),
    key('Escape', 'Esc', 'leave the camera, close this list', () => {
      if (app.state.view === 'camera') set({ view: 'follow', camera: '' });
      else set({ selected: '' });
    }),
  ];
}

function nextCamera(app: App): void {
  const names = app.stage.rig.pictures.map((picture) => picture.info.name);
  if (!names.length) return;
  const at = app.state.view === 'camera' ? names.indexOf(app.state.camera) : -1;
  app.choices.set({ view: 'camera', camera: names[(at + 1) % names.length] });
}

/** Keys belong to a field that is being written in or dragged, and to the browser when held with its own. */
export function listenToKeys(keys: Key[]): void {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (target.closest('dialog') && event.key !== '?') return;
    const arrow = event.key.startsWith('Arrow') || event.key === 'Home' || event.key === 'End';
    if (arrow && target.matches('input, select')) return;
    if (event.key === ' ' && target.matches('button, input, select, summary')) return;
    if (target.matches('select')) return;
    const found = keys.find((key) => key.keys.includes(event.key) || key.keys.includes(event.key.toLowerCase()));
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

export function helpDialog(keys: Key[]): HTMLDialogElement {
  const dialog = element('dialog', { 'aria-label': 'Keyboard' });
  const list = element('dl', {}, ...keys.map((key) => element('div', {}, element('dt', {}, key.shown), element('dd', {}, key.does))));
  const close = element('button', { type: 'button' }, 'Close');
  close.addEventListener('click', () => dialog.close());
  dialog.append(element('h2', {}, 'Keyboard'), list, element('p', {}, 'Drag turns, right drag moves, the wheel comes nearer.'), close);
  return dialog;
}
