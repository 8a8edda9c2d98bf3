/** The page of `flashocc view`. */

import { App } from './app';
import { button, element } from './dom';
import { helpDialog, keysOf, listenToKeys } from './keys';
import { Panel } from './panel';
import { saveSnapshot } from './snapshot';
import { openSource } from './source';
import { fromLink, toLink } from './state';
import { Strip } from './strip';
import styles from './style.css';
import { Timeline } from './timeline';
import { Tooltip } from './tooltip';

const CAMERA = 'M4 7h3l2-3h6l2 3h3a1 1 0 0 1 1 1v11H3V8a1 1 0 0 1 1-1zm8 2.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8z';
const LINK = 'M10 6H7a5 5 0 0 0 0 10h3v-2H7a3 3 0 0 1 0-6h3zm4 0h3a5 5 0 0 1 0 10h-3v-2h3a3 3 0 0 0 0-6h-3zM8 10h8v2H8z';
const HELP = 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm1 15h-2v-2h2zm1.8-6.6-.9.9c-.6.6-.9 1.1-.9 2.2h-2v-.5c0-1 .4-1.9 1.1-2.6l1.2-1.2a1.6 1.6 0 1 0-2.8-1.2H8.6a3.5 3.5 0 1 1 6.2 2.4z';
const MENU = 'M3 6h18v2H3zm0 5h18v2H3zm0 5h18v2H3z';
/** A link is renewed so long after the last change. */
const LINK_MS = 300;

const sheet = new CSSStyleSheet();
sheet.replaceSync(styles);
document.adoptedStyleSheets = [sheet];

async function start(): Promise<void> {
  const source = await openSource();
  const app = new App(source);
  const { scene } = source;
  document.title = `${scene.title} – FlashOcc`;

  const timeline = new Timeline(app);
  const strip = new Strip(app);
  const panel = new Panel(app);
  const banner = element('p', { class: 'banner', role: 'alert', hidden: true });
  const toast = element('p', { class: 'toast', role: 'status', hidden: true });
  const halves = element('div', { class: 'halves', 'aria-hidden': 'true' });
  const area = element('main', { class: 'stage' }, app.stage.canvas, app.stage.labels.root, halves);
  const tooltip = new Tooltip(app, area);
  area.append(tooltip.root, banner, toast);

  const say = (text: string) => {
    toast.textContent = text;
    toast.hidden = false;
    setTimeout(() => (toast.hidden = true), 2500);
  };
  const picture = () => void saveSnapshot(app).then(() => say('picture saved'), (error) => say(String(error)));
  const link = () => {
    keepLink();
    navigator.clipboard?.writeText(location.href).then(
      () => say('link copied'),
      () => say('the address bar holds the link'),
    );
  };
  const dialog: { show: () => void } = { show: () => {} };
  const keys = keysOf(app, { timeline, strip, picture, link, help: () => dialog.show() });
  const help = helpDialog(keys);
  dialog.show = () => (help.open ? help.close() : help.showModal());
  listenToKeys(keys);

  const menu = button('Choices', MENU, () => document.body.classList.toggle('closed'));
  const header = element(
    'header',
    {},
    menu,
    element('h1', {}, scene.title),
    ...(scene.note ? [element('span', { class: 'badge' }, scene.note)] : []),
    element('span', { class: 'room' }),
    button('Save a picture (P)', CAMERA, picture),
    button('Copy a link to this view (K)', LINK, link),
    button('Keyboard (?)', HELP, () => dialog.show()),
  );
  document.body.append(header, panel.root, strip.root, area, timeline.root, help); // beside the data of a whole file

  let linkTimer = 0;
  function keepLink(): void {
    clearTimeout(linkTimer);
    linkTimer = 0;
    try {
      history.replaceState(null, '', toLink(app.state));
    } catch {
      // inside a notebook a page has no address
    }
  }
  const keepSoon = () => (linkTimer ||= window.setTimeout(keepLink, LINK_MS));
  app.choices.listen(keepSoon);
  const moved = app.stage.onmove;
  app.stage.onmove = () => {
    moved();
    keepSoon();
  };
  window.addEventListener('hashchange', () => app.choices.set({ eye: [], ...fromLink(location.hash) }));

  let frameError = '';
  const tell = () => {
    const lost = source.connected ? '' : 'The connection to `flashocc view` is lost; it is tried again.';
    const empty = source.done && !source.entries.length ? 'There is no frame to show.' : '';
    const text = [source.error, source.said, empty, frameError, lost].filter(Boolean).join(' ');
    banner.textContent = text;
    banner.hidden = !text;
    banner.classList.toggle('warn', text !== '' && text === source.said);
  };
  app.onerror = (message) => {
    frameError = message;
    tell();
  };
  const nameHalves = () => {
    const names = app.stage.shown;
    const split = app.comparable && app.state.compare === 'split';
    halves.hidden = !split;
    halves.replaceChildren(...names.map((name) => element('span', {}, name)));
    const what = names.join(' and ') || 'nothing';
    app.stage.canvas.setAttribute('aria-label', `3D scene: ${what}, frame ${(app.frame?.number ?? 0) + 1}`);
  };
  app.onframe.push(nameHalves);
  app.choices.listen(nameHalves);
  app.choices.listen(() => area.classList.toggle('looking', app.state.view === 'camera'));

  source.onchange = () => {
    tell();
    timeline.update();
    app.sourceChanged();
  };
  new ResizeObserver(() => app.stage.resize()).observe(area);
  app.stage.resize();
  if (app.live) app.choices.set({ playing: true });
  app.choices.set(fromLink(location.hash));
  source.onchange();
  Object.assign(window, { flashocc: app }); // for tests and for those who want to steer the page by script
}

start().catch((error: unknown) => {
  const text = error instanceof Error ? error.message : String(error);
  const hint = /webgl/i.test(text) ? ' This page needs WebGL 2; allow it in the browser, or try another one.' : '';
  document.body.replaceChildren(element('p', { class: 'failed', role: 'alert' }, `The page cannot start: ${text}.${hint}`));
});
