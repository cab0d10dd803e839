// Colours for canvases, and which of the two sets is in force. What a goroutine
// does is told by the height of its bar first and by colour second; the colours are
// of a set that people with any colour vision can tell apart (Okabe and Ito's).

import type {Kind} from './model';

export interface Palette {
	paper: string;
	ink: string;
	muted: string;
	rule: string;
	band: string;
	mark: string;
	kinds: Record<Look, string>;
}

export type Look = 'running' | 'runnable' | 'syscall' | 'lock' | 'channel' | 'network' | 'sleep' | 'other';

export const looks: {look: Look; name: string}[] = [
	{look: 'running', name: 'running'},
	{look: 'runnable', name: 'runnable: could run, has no processor'},
	{look: 'syscall', name: 'system call'},
	{look: 'lock', name: 'waiting for a lock or a group'},
	{look: 'channel', name: 'waiting for a channel'},
	{look: 'network', name: 'waiting for the network'},
	{look: 'sleep', name: 'asleep'},
	{look: 'other', name: 'waiting for something else'},
];

/** lookOf says how a state is drawn; reasons are the runtime's own words. */
export function lookOf(k: Kind): Look {
	switch (k.state) {
	case 'running': case 'runnable': case 'syscall':
		return k.state;
	}
	if (k.reason.startsWith('sync')) {
		return 'lock';
	}
	if (k.reason.startsWith('chan') || k.reason.startsWith('select') || k.reason === 'forever') {
		return 'channel';
	}
	if (k.reason === 'network') {
		return 'network';
	}
	return k.reason === 'sleep' ? 'sleep' : 'other';
}

const light: Palette = {
	paper: '#ffffff', ink: '#1c1f23', muted: '#5c636b', rule: '#e2e5e9', band: '#f6f7f9', mark: '#1c1f23',
	kinds: {running: '#009e73', runnable: '#e69f00', syscall: '#56b4e9', lock: '#d55e00', channel: '#0072b2', network: '#cc79a7', sleep: '#8a9199', other: '#b4bac1'},
};

const dark: Palette = {
	paper: '#15181c', ink: '#e6e8eb', muted: '#9aa2ab', rule: '#2d3238', band: '#1b1f24', mark: '#ffffff',
	kinds: {running: '#1fc797', runnable: '#f0b429', syscall: '#8ccff2', lock: '#f0833a', channel: '#3f9fe0', network: '#e09cc3', sleep: '#7d858e', other: '#575f68'},
};

let chosen: 'light' | 'dark' | null = null;
const system = matchMedia('(prefers-color-scheme: dark)');
const listeners: (() => void)[] = [];

/** printing tells that what is drawn now goes onto paper. */
export let printing = false;

function name(): 'light' | 'dark' {
	return printing ? 'light' : chosen ?? (system.matches ? 'dark' : 'light');
}

export function palette(): Palette {
	return name() === 'dark' ? dark : light;
}

/** repaints calls f whenever colours or the medium change. */
export function repaints(f: () => void): void {
	listeners.push(f);
}

function change(): void {
	document.documentElement.dataset.theme = name();
	listeners.forEach(f => f());
}

export function toggle(): void {
	chosen = name() === 'dark' ? 'light' : 'dark';
	change();
}

export function start(): void {
	document.documentElement.dataset.theme = name();
	system.addEventListener('change', change);
	const print = (on: boolean) => () => {
		printing = on;
		document.documentElement.classList.toggle('paper', on);
		for (const d of document.querySelectorAll<HTMLDetailsElement>('details.printed')) {
			if (on && !d.open) {
				d.open = d.classList.toggle('unfolded', true);
			} else if (!on && d.classList.contains('unfolded')) {
				d.open = d.classList.toggle('unfolded', false);
			}
		}
		change();
	};
	addEventListener('beforeprint', print(true));
	addEventListener('afterprint', print(false));
}
