/** The picture button: what is on the stage with its labels, as a PNG file. */

import type { App } from './app';

const FONT = '600 11px system-ui, sans-serif';

export function snapshot(app: App): Promise<Blob> {
  app.stage.draw();
  const { canvas, labels } = app.stage;
  const ratio = app.stage.renderer.getPixelRatio();
  const sheet = document.createElement('canvas');
  sheet.width = canvas.width;
  sheet.height = canvas.height;
  const draw = sheet.getContext('2d')!;
  draw.drawImage(canvas, 0, 0);
  draw.scale(ratio, ratio);
  draw.font = FONT;
  draw.textBaseline = 'middle';
  const origin = canvas.getBoundingClientRect();
  for (const chip of labels.root.querySelectorAll<HTMLElement>('.label:not([hidden])')) {
    if (labels.root.hidden) break;
    const box = chip.getBoundingClientRect();
    const [left, top] = [box.left - origin.left, box.top - origin.top];
    const style = getComputedStyle(chip);
    draw.fillStyle = style.backgroundColor;
    draw.beginPath();
    draw.roundRect(left, top, box.width, box.height, 4);
    draw.fill();
    const dot = chip.firstChild as HTMLElement;
    if (!dot.hidden) {
      draw.fillStyle = dot.style.background;
      draw.fillRect(left + 6, top + box.height / 2 - 3.5, 7, 7);
    }
    draw.fillStyle = style.color;
    draw.fillText(chip.textContent ?? '', left + 6 + (dot.hidden ? 0 : 11), top + box.height / 2 + 0.5);
  }
  return new Promise((resolve, reject) =>
    sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('the picture is too large'))), 'image/png'),
  );
}

export async function saveSnapshot(app: App): Promise<void> {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await snapshot(app));
  const title = app.source.scene.title.replace(/[^\w.-]+/g, '_').replace(/^_+|_+$/g, '') || 'flashocc';
  link.download = `${title}_${String((app.frame?.number ?? 0) + 1).padStart(4, '0')}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
