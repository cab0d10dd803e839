// The keyboard. Whatever a mouse can do here, a key can.

import {h} from './dom';
import {zoomableIn} from './figure';

export const help: [string, string][] = [
	['j  k', 'next and previous finding'],
	['/', 'search; Escape ends it'],
	['+  −', 'zoom the picture of this finding'],
	['←  →', 'move it'],
	['0', 'show the whole of it'],
	['↑  ↓', 'in a picture: choose a goroutine'],
	[',  .', 'in a picture: previous and next thing that it does'],
	['e', 'unfold or fold everything of this finding'],
	['t', 'dark or light'],
	['?', 'this help'],
];

export interface Actions {
	move(by: number): void;
	current(): HTMLElement | null;
	search(): void;
	escape(): void;
	toggleTheme(): void;
	help(): void;
}

export function keys(a: Actions): void {
	addEventListener('keydown', ev => {
		const typing = ev.target instanceof HTMLInputElement;
		if (ev.key === 'Escape') {
			a.escape();
			return;
		}
		if (typing || ev.ctrlKey || ev.metaKey || ev.altKey) {
			return;
		}
		if (act(ev.key)) {
			ev.preventDefault();
		}
	});

	function act(key: string): boolean {
		switch (key) {
		case 'j': a.move(1); return true;
		case 'k': a.move(-1); return true;
		case '/': a.search(); return true;
		case '?': a.help(); return true;
		case 't': a.toggleTheme(); return true;
		case 'e': unfold(a.current()); return true;
		}
		const z = zoomableIn(a.current() ?? document.body);
		if (!z) {
			return false;
		}
		const focused = document.activeElement === z.el;
		switch (key) {
		case '+': case '=': z.win.zoom(0.5); return true;
		case '-': case '_': z.win.zoom(2); return true;
		case '0': z.win.whole(); return true;
		case 'ArrowLeft': if (!z.win.zoomed && !focused) { return false; } z.win.pan(-0.2); return true;
		case 'ArrowRight': if (!z.win.zoomed && !focused) { return false; } z.win.pan(0.2); return true;
		}
		if (!focused || !z.select) {
			return false;
		}
		switch (key) {
		case 'ArrowUp': z.select(-1, 0); return true;
		case 'ArrowDown': z.select(1, 0); return true;
		case ',': z.select(0, -1); return true;
		case '.': z.select(0, 1); return true;
		}
		return false;
	}
}

function unfold(el: HTMLElement | null): void {
	const all = [...el?.querySelectorAll('details') ?? []];
	const open = all.some(d => !d.open);
	all.forEach(d => d.open = open);
}

export function helpDialog(): HTMLDialogElement {
	const d = h('dialog', {'aria-label': 'Keys'}, h('h2', 'Keys'), h('dl.keys'));
	for (const [key, what] of help) {
		d.querySelector('dl')!.append(h('div', h('dt', h('kbd', key)), h('dd', what)));
	}
	d.append(h('p.note', 'With the mouse: drag to move, Ctrl and the wheel to zoom (without Ctrl once the picture was clicked), double click to zoom in.'));
	const close = h('button', {type: 'button'}, 'Close');
	close.addEventListener('click', () => d.close());
	d.append(close);
	return d;
}
