// The frame around a picture: what keys and buttons move, the legend, what is
// under the pointer in words, and what the picture leaves out.

import {button, h} from './dom';
import {looks, palette, repaints, type Look} from './theme';
import {attach, type Area, type Window} from './zoom';

/** Zoomable is a picture that keys can move. */
export interface Zoomable {
	win: Window;
	el: HTMLElement;
	select?(rows: number, spans: number): void;
}

const all = new Map<HTMLElement, Zoomable>();

/** zoomableIn returns the picture that has the focus, or the first in an element. */
export function zoomableIn(el: Element | null): Zoomable | undefined {
	const focused = document.activeElement?.closest<HTMLElement>('.zoomable');
	if (focused) {
		return all.get(focused);
	}
	const first = el?.querySelector<HTMLElement>('.zoomable');
	return first ? all.get(first) : undefined;
}

interface Parts {
	name: string; // for those who cannot see it
	content: HTMLElement;
	target: HTMLElement; // what the pointer acts on
	area: () => Area;
	win: Window;
	legend: Look[];
	legendExtra?: string;
	readout: HTMLElement;
	note: string; // what it leaves out
	select?(rows: number, spans: number): void;
}

export function figure(p: Parts): HTMLElement {
	const box = h('div.zoomable', {tabindex: '0', role: 'group', 'aria-label': p.name + '. Plus and minus zoom, arrow keys move.'}, p.content);
	const whole = button('whole', 'Show the whole (0)', () => p.win.whole());
	const tools = h('div.tools',
		button('−', 'Zoom out (−)', () => p.win.zoom(2)),
		button('+', 'Zoom in (+)', () => p.win.zoom(0.5)),
		whole,
	);
	const fresh = () => whole.disabled = !p.win.zoomed;
	p.win.changed(fresh);
	fresh();
	attach(p.target, p.win, p.area);
	all.set(box, {win: p.win, el: box, select: p.select});
	return h('figure',
		h('div.bar', legend(p.legend, p.legendExtra), tools),
		box,
		p.readout,
		p.note ? h('figcaption', p.note) : null,
	);
}

function legend(list: Look[], extra?: string): HTMLElement {
	const items = looks.filter(l => list.includes(l.look)).map(l => h('li', h(`span.swatch.${l.look}`), l.name));
	return h('ul.legend', {'aria-label': 'Legend'}, ...items, extra ? h('li', extra) : null);
}

/** colours gives the style sheet the colours that canvases use. */
export function colours(): void {
	const set = () => {
		const p = palette();
		for (const [look, colour] of Object.entries(p.kinds)) {
			document.documentElement.style.setProperty('--' + look, colour);
		}
	};
	set();
	repaints(set);
}

export function readout(): HTMLElement {
	return h('p.readout', {'aria-live': 'polite'}, 'Drag to move; Ctrl and the wheel, or + and −, to zoom; ? for all keys.');
}
