// A canvas that is drawn when it is seen and given up when it is not, so that a
// hundred of them cost what is on the screen.

import {h} from './dom';
import {palette, printing, repaints, type Palette} from './theme';

export interface Brush {
	c: CanvasRenderingContext2D;
	width: number;
	height: number;
	palette: Palette;
}

const paperWidth = 700; // pixels across a printed page

export class Picture {
	readonly canvas = h('canvas');
	private seen = false;
	private due = 0;

	/** height says how high a picture of some width is; draw draws it. */
	constructor(private readonly height: (width: number) => number, private readonly draw: (b: Brush) => void) {
		new IntersectionObserver(entries => {
			this.seen = entries[entries.length - 1].isIntersecting;
			this.paint();
		}, {rootMargin: '400px'}).observe(this.canvas);
		let width = 0;
		new ResizeObserver(() => {
			if (this.canvas.clientWidth !== width) {
				width = this.canvas.clientWidth;
				this.later();
			}
		}).observe(this.canvas);
		repaints(() => this.paint());
	}

	later(): void {
		this.due ||= requestAnimationFrame(() => this.paint());
	}

	get width(): number {
		return printing ? paperWidth : this.canvas.clientWidth;
	}

	private paint(): void {
		cancelAnimationFrame(this.due);
		this.due = 0;
		const width = this.width, height = this.height(width), scale = printing ? 2 : Math.min(3, devicePixelRatio || 1);
		this.canvas.style.height = printing ? 'auto' : height + 'px';
		if (!this.seen && !printing || width === 0) {
			this.canvas.width = this.canvas.height = 0;
			return;
		}
		this.canvas.width = Math.round(width * scale);
		this.canvas.height = Math.round(height * scale);
		const c = this.canvas.getContext('2d');
		if (!c) {
			return;
		}
		c.scale(scale, scale);
		c.textBaseline = 'middle';
		this.draw({c, width, height, palette: palette()});
	}
}
