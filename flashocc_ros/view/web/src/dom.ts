/** Elements with text as text: nothing that came from outside is ever read as HTML. */

type Attributes = Record<string, string | boolean | undefined>;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/** Icons drawn here, so that no font is needed: the content of an SVG path on a 24 x 24 field. */
export function icon(path: string): SVGSVGElement {
  const name = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(name, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(name, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

export function button(label: string, path: string, onclick: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', 'aria-label': label, title: label, class: 'icon' }, icon(path));
  made.addEventListener('click', onclick);
  return made;
}
