// A window of time that can be moved by mouse, fingers and keys: the same for
// every picture that has time on its horizontal axis.

export class Window {
	from: number;
	to: number;
	private readonly listeners: (() => void)[] = [];

	constructor(readonly first: number, readonly last: number, private readonly least: number) {
		this.from = first;
		this.to = last;
	}

	changed(f: () => void): void {
		this.listeners.push(f);
	}

	show(from: number, to: number): void {
		const length = Math.min(this.last - this.first, Math.max(this.least, to - from));
		this.from = Math.max(this.first, Math.min(from, this.last - length));
		this.to = this.from + length;
		this.listeners.forEach(f => f());
	}

	/** zoom changes the length by a factor and keeps what is at a part of the width in place. */
	zoom(factor: number, at = 0.5): void {
		const length = (this.to - this.from) * factor, t = this.from + at * (this.to - this.from);
		const kept = Math.min(this.last - this.first, Math.max(this.least, length));
		this.show(t - at * kept, t - at * kept + kept);
	}

	/** pan moves by a part of what is shown. */
	pan(part: number): void {
		const by = part * (this.to - this.from);
		this.show(this.from + by, this.to + by);
	}

	whole(): void {
		this.show(this.first, this.last);
	}

	get zoomed(): boolean {
		return this.from > this.first || this.to < this.last;
	}
}

/** area says which part of an element's width is the time axis, in CSS pixels. */
export interface Area {left: number; width: number}

/**
 * attach lets mouse and fingers move a window: dragging pans; the wheel zooms
 * with Ctrl, or once the picture has the focus (else it scrolls the page); two
 * fingers zoom; a double click zooms in.
 */
export function attach(el: HTMLElement, win: Window, area: () => Area): void {
	const part = (x: number) => {
		const a = area();
		return Math.max(0, Math.min(1, (x - el.getBoundingClientRect().left - a.left) / a.width));
	};
	el.addEventListener('wheel', ev => {
		const focused = el.contains(document.activeElement) || document.activeElement?.contains(el) && document.activeElement.classList.contains('zoomable');
		if (Math.abs(ev.deltaX) > Math.abs(ev.deltaY) || ev.shiftKey) {
			if (win.zoomed) {
				ev.preventDefault();
				win.pan((ev.deltaX || ev.deltaY) / area().width);
			}
		} else if (ev.ctrlKey || ev.metaKey || focused) {
			ev.preventDefault();
			win.zoom(Math.exp(Math.max(-1, Math.min(1, ev.deltaY * (ev.deltaMode ? 0.1 : 0.004)))), part(ev.clientX));
		}
	}, {passive: false});
	el.addEventListener('dblclick', ev => win.zoom(0.4, part(ev.clientX)));

	const fingers = new Map<number, number>(); // pointer → x
	let spread = 0;
	el.addEventListener('pointerdown', ev => {
		if (ev.button === 0) {
			fingers.set(ev.pointerId, ev.clientX);
			spread = spreadOf(fingers);
		}
	});
	el.addEventListener('pointermove', ev => {
		const before = fingers.get(ev.pointerId);
		if (before === undefined) {
			return;
		}
		if (fingers.size === 1) {
			if (!el.hasPointerCapture(ev.pointerId) && Math.abs(ev.clientX - before) > 3) {
				el.setPointerCapture(ev.pointerId);
			}
			if (el.hasPointerCapture(ev.pointerId)) {
				win.pan((before - ev.clientX) / area().width);
				fingers.set(ev.pointerId, ev.clientX);
			}
			return;
		}
		fingers.set(ev.pointerId, ev.clientX);
		const now = spreadOf(fingers);
		if (spread > 0 && now > 0) {
			const xs = [...fingers.values()];
			win.zoom(spread / now, part((xs[0] + xs[1]) / 2));
		}
		spread = now;
	});
	for (const end of ['pointerup', 'pointercancel'] as const) {
		el.addEventListener(end, ev => fingers.delete(ev.pointerId));
	}
}

function spreadOf(fingers: Map<number, number>): number {
	const xs = [...fingers.values()];
	return xs.length === 2 ? Math.abs(xs[0] - xs[1]) : 0;
}
