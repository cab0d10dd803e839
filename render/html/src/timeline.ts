// The picture of a scene: a row for each goroutine, bars for what it does, arrows
// for who woke whom.

import {Picture, type Brush} from './picture';
import {lookOf, type Look, type Palette} from './theme';
import {doing, duration, moment, place} from './words';
import {Window, type Area} from './zoom';
import type {Scene, Span, Step, Track, Wake} from './model';

const axisHeight = 26;
const fontSmall = '11px system-ui, sans-serif';
const font = '12px system-ui, sans-serif';
const barZone = 16; // the lower part of a row
const heights: Record<Look, number> = {running: 14, syscall: 12, runnable: 9, lock: 5, channel: 5, network: 5, sleep: 3, other: 3};

interface Layout {gutter: number; row: number}

export class Timeline {
	readonly win: Window;
	readonly picture: Picture;
	private row = -1;
	private span: Span | null = null;
	private mouse = -1; // x, or -1
	private readonly tell: (text: string) => void;
	private readonly part: string[]; // that each goroutine plays, by track

	constructor(private readonly scene: Scene, private readonly steps: Step[], tell: (text: string) => void) {
		const length = Math.max(1, scene.to - scene.from);
		this.win = new Window(scene.from, scene.from + length, Math.min(length, 200));
		this.picture = new Picture(w => axisHeight + scene.tracks.length * layout(w).row + 6, b => this.draw(b));
		this.win.changed(() => this.picture.later());
		this.tell = tell;
		this.part = scene.tracks.map((t, i) => t.role || (scene.wakes.some(w => w.by === i) ? 'woke one of them' : ''));
		const canvas = this.picture.canvas;
		canvas.addEventListener('pointermove', ev => {
			const box = canvas.getBoundingClientRect();
			this.point(ev.clientX - box.left, ev.clientY - box.top);
		});
		canvas.addEventListener('pointerleave', () => {
			this.mouse = -1;
			this.picture.later();
		});
	}

	area = (): Area => area(this.picture.width);

	/** show zooms to a step and tells what is there. */
	show(step: Step): void {
		const length = (this.win.last - this.win.first) / 6;
		if (step.t < this.win.first || step.t > this.win.last) {
			return;
		}
		this.win.show(step.t - length / 2, step.t + length / 2);
		const row = this.scene.tracks.findIndex(t => t.g === step.g);
		if (row >= 0) {
			this.select(row, spanAt(this.scene.tracks[row].spans, step.t));
		}
	}

	/** step moves the selection by rows or spans. */
	step(rows: number, spans: number): void {
		const {tracks} = this.scene;
		const row = Math.max(0, Math.min(tracks.length - 1, this.row < 0 ? 0 : this.row + rows));
		const list = tracks[row].spans;
		let i = this.span ? spanIndex(list, this.span.from) : spanIndex(list, this.win.from);
		if (this.row === row && this.span) {
			i += spans;
		} else if (this.span) {
			i = spanIndex(list, Math.max(this.span.from, this.win.from));
		}
		const span = list[Math.max(0, Math.min(list.length - 1, i))] ?? null;
		if (span && (span.to < this.win.from || span.from > this.win.to)) {
			const half = (this.win.to - this.win.from) / 2, middle = (span.from + span.to) / 2;
			this.win.show(middle - half, middle + half);
		}
		this.select(row, span);
	}

	private select(row: number, span: Span | null): void {
		this.row = row;
		this.span = span;
		this.tell(this.about(this.scene.tracks[row], span));
		this.picture.later();
	}

	private point(x: number, y: number): void {
		const {row} = layout(this.picture.width), a = this.area();
		const i = Math.floor((y - axisHeight) / row);
		this.mouse = x;
		this.row = i >= 0 && i < this.scene.tracks.length ? i : -1;
		this.span = null;
		if (this.row >= 0) {
			const track = this.scene.tracks[i], t = this.win.from + (x - a.left) / a.width * (this.win.to - this.win.from);
			const near = 3 / a.width * (this.win.to - this.win.from); // what is thinner than a pixel can be pointed at as well
			this.span = x >= a.left ? spanAt(track.spans, t) ?? spanAt(track.spans, t + near) ?? spanAt(track.spans, t - near) : null;
			this.tell(this.about(track, this.span));
		}
		this.picture.later();
	}

	private about(track: Track, span: Span | null): string {
		let text = `G${track.g}`;
		if (track.role) {
			text += ', ' + track.role;
		}
		if (!span) {
			return text + (track.entry ? `, started as ${track.entry}` : '');
		}
		const first = span === track.spans[0], last = span === track.spans[track.spans.length - 1];
		const from = first ? Math.min(track.since, span.from) : span.from, to = last ? Math.max(track.until, span.to) : span.to;
		text += `: ${doing(span.kind)} for ${duration(to - from)}, from ${moment(from, (to - from) / 100)}`;
		if (span.frame) {
			text += `, in ${span.frame.short} at ${place(span.frame)}`;
		}
		if (span.merged > 1) {
			text += `; stands for ${span.merged} short ones, mostly such`;
		}
		const end = last ? null : this.scene.wakes.find(w => this.scene.tracks[w.of] === track && Math.abs(w.t - span.to) < 1 + 0.001 * (span.to - span.from));
		if (end && span.kind.state === 'waiting') {
			text += end.by >= 0 ? `; woken by G${this.scene.tracks[end.by].g}` : `; woken by ${causes[end.what] ?? 'somebody who is not shown'}`;
		}
		return text;
	}

	private draw(b: Brush): void {
		const {c, palette} = b, l = layout(b.width), a = this.area(), {win, scene} = this;
		const x = (t: number) => a.left + (t - win.from) / (win.to - win.from) * a.width;
		const top = (i: number) => axisHeight + i * l.row;
		const bar = (i: number) => top(i) + l.row - barZone / 2 - 3;
		this.axis(b, a, x);
		scene.tracks.forEach((track, i) => {
			if (i % 2 === 0) {
				c.fillStyle = palette.band;
				c.fillRect(0, top(i), b.width, l.row);
			}
			label(b, l, track, this.part[i], top(i));
		});
		c.save();
		c.beginPath();
		c.rect(a.left, axisHeight, a.width, b.height);
		c.clip();
		grid(b, a, x, win);
		const marks = this.marks(a, x);
		scene.tracks.forEach((track, i) => drawTrack(b, track, bar(i), x, win, a, marks.filter(m => m.row === i).map(m => m.x)));
		for (const w of this.visibleWakes(x)) {
			const involved = this.row >= 0 && (w.by === this.row || w.of === this.row);
			arrow(c, palette, Math.round(x(w.t)) + 0.5, w.by >= 0 ? bar(w.by) : null, bar(w.of), involved, w);
		}
		drawMarks(b, marks, bar);
		if (this.span && this.row >= 0) {
			const x0 = Math.max(a.left - 2, x(this.span.from)), x1 = Math.min(a.left + a.width + 2, x(this.span.to));
			c.strokeStyle = palette.mark;
			c.lineWidth = 1.5;
			c.strokeRect(x0 - 1, bar(this.row) - barZone / 2 - 1, Math.max(2, x1 - x0) + 2, barZone + 2);
		}
		c.restore();
		if (this.mouse >= a.left && this.mouse <= a.left + a.width) {
			c.fillStyle = palette.muted;
			c.fillRect(Math.round(this.mouse), 4, 1, b.height - 8);
		}
	}

	private axis({c, width, palette}: Brush, a: Area, x: (t: number) => number): void {
		const {win} = this;
		c.font = fontSmall;
		c.fillStyle = palette.muted;
		c.textAlign = 'center';
		let free = 0;
		const {step, list} = ticks(win.from, win.to, a.width / 110);
		for (const t of list) {
			const text = moment(t, step), w = c.measureText(text).width;
			const at = Math.min(width - w / 2, Math.max(x(t), a.left + w / 2));
			if (at - w / 2 > free) {
				c.fillText(text, at, 11);
				free = at + w / 2 + 12;
			}
		}
		c.textAlign = 'left';
	}

	/** visibleWakes leaves out arrows that would lie on others. */
	private visibleWakes(x: (t: number) => number): Wake[] {
		const seen = new Set<string>();
		return this.scene.wakes.filter(w => {
			if (w.t < this.win.from || w.t > this.win.to) {
				return false;
			}
			const key = `${Math.round(x(w.t) / 2)} ${w.by} ${w.of}`;
			return !seen.has(key) && seen.add(key);
		});
	}

	/** marks says where the numbers of the steps go: above the bar of their goroutine, beside each other. */
	private marks(a: Area, x: (t: number) => number): Mark[] {
		const list: Mark[] = [], room = 16;
		this.steps.forEach((s, n) => {
			const row = this.scene.tracks.findIndex(t => t.g === s.g);
			if (row < 0 || s.t < this.win.from || s.t > this.win.to) {
				return;
			}
			const mine = list.filter(m => m.row === row), mark = {row, x: Math.max(a.left + 9, x(s.t)), n: n + 1};
			mark.x = Math.max(mark.x, ...mine.map(m => m.x + room));
			for (let over = mark.x - (a.left + a.width - 9), k = mine.length - 1, at = mark; over > 0; k--) { // no room to the right
				at.x -= over;
				if (k < 0) {
					break;
				}
				over = mine[k].x + room - at.x;
				at = mine[k];
			}
			list.push(mark);
		});
		return list;
	}
}

interface Mark {row: number; x: number; n: number}

function drawMarks({c, palette}: Brush, marks: Mark[], bar: (i: number) => number): void {
	c.textAlign = 'center';
	c.font = '600 10px system-ui, sans-serif';
	for (const m of marks) {
		const y = bar(m.row) - 15;
		c.fillStyle = palette.mark;
		c.beginPath();
		c.arc(m.x, y, 7.5, 0, 7);
		c.fill();
		c.fillStyle = palette.paper;
		c.fillText(String(m.n), m.x, y + 0.5);
	}
	c.textAlign = 'left';
}

const causes: Record<string, string> = {timer: 'a timer', network: 'the network', runtime: 'the runtime'};

function layout(width: number): Layout {
	return width >= 620 ? {gutter: Math.min(230, Math.round(width * 0.26)), row: 38} : {gutter: 0, row: 52};
}

function area(width: number): Area {
	const {gutter} = layout(width);
	return {left: gutter, width: Math.max(40, width - gutter - 2)};
}

function label({c, palette}: Brush, l: Layout, track: Track, part: string, top: number): void {
	const y = l.gutter ? top + 12 : top + 9, room = (l.gutter || 330) - 14;
	c.font = '600 ' + font;
	c.fillStyle = palette.ink;
	const id = 'G' + track.g;
	c.fillText(id, 6, y);
	const w = c.measureText(id).width + 6;
	c.font = font;
	c.fillStyle = palette.muted;
	if (l.gutter) {
		c.fillText(fit(c, part, room - w), 6 + w, y);
		c.font = fontSmall;
		c.fillText(fit(c, track.entry, room), 6, top + 27);
	} else {
		c.fillText(fit(c, [part, track.entry].filter(Boolean).join(' · '), room - w), 6 + w, y);
	}
}

function drawTrack(b: Brush, track: Track, y: number, x: (t: number) => number, win: Window, a: Area, marks: number[]): void {
	const {c, palette} = b, right = a.left + a.width;
	let said = -99; // where the last text ended
	for (let i = spanIndex(track.spans, win.from); i < track.spans.length; i++) {
		const s = track.spans[i];
		if (s.from > win.to) {
			break;
		}
		const look = lookOf(s.kind), height = heights[look];
		const x0 = Math.max(a.left, x(s.from)), x1 = Math.min(right, x(s.to)), w = Math.max(0.8, x1 - x0);
		c.globalAlpha = s.merged > 1 ? 0.6 : 1;
		c.fillStyle = c.strokeStyle = palette.kinds[look];
		if (look === 'runnable' && w > 3) { // hollow
			c.lineWidth = 1.5;
			c.strokeRect(x0 + 0.75, y - height / 2, w - 1.5, height);
		} else {
			c.fillRect(x0, y - height / 2, w, height);
		}
		c.globalAlpha = 1;
		if (w > 40 && s.kind.state !== 'running') {
			c.font = fontSmall;
			c.fillStyle = palette.muted;
			const text = spanText(s), width = c.measureText(text).width;
			let at = x0 + 6;
			for (const m of marks) {
				if (m > at - 9 && m < at + width + 9) {
					at = m + 11;
				}
			}
			if (at + width < x1 - 4 && at > said) {
				c.fillText(text, at, y - 13);
				said = at + width + 8;
			}
		}
	}
	c.fillStyle = palette.muted;
	if (track.ended !== null && track.ended >= win.from && track.ended <= win.to) {
		c.fillRect(x(track.ended), y - 9, 2, 18);
	}
	if (track.born !== null && track.born >= win.from && track.born <= win.to) {
		c.fillRect(x(track.born) - 2, y - 9, 2, 18);
	}
}

function spanText(s: Span): string {
	const what = s.kind.state === 'waiting' ? s.kind.reason || 'waiting' : s.kind.state;
	return what + (s.frame ? ' ' + place(s.frame) : '') + (s.merged > 1 ? ` ×${s.merged}` : '');
}

function arrow(c: CanvasRenderingContext2D, p: Palette, x: number, from: number | null, to: number, involved: boolean, w: Wake): void {
	const start = from ?? to - 19, down = to > start ? 1 : -1, end = to - down * 7;
	c.globalAlpha = involved ? 1 : 0.55;
	c.strokeStyle = c.fillStyle = p.ink;
	c.lineWidth = involved ? 1.5 : 1;
	c.setLineDash(w.what === 'created' ? [3, 2] : []);
	c.beginPath();
	c.moveTo(x, start);
	c.lineTo(x, end);
	c.stroke();
	c.setLineDash([]);
	c.beginPath();
	c.moveTo(x, end + down * 3);
	c.lineTo(x - 3.5, end - down * 4);
	c.lineTo(x + 3.5, end - down * 4);
	c.fill();
	if (from === null) {
		c.beginPath();
		c.arc(x, start, 2.5, 0, 7);
		c.fill();
	}
	c.globalAlpha = 1;
}

function grid({c, height, palette}: Brush, a: Area, x: (t: number) => number, win: Window): void {
	c.fillStyle = palette.rule;
	for (const t of ticks(win.from, win.to, a.width / 110).list) {
		c.fillRect(Math.round(x(t)), axisHeight, 1, height - axisHeight);
	}
}

/** ticks are round times, about n of them, a step apart. */
function ticks(from: number, to: number, n: number): {step: number; list: number[]} {
	const raw = (to - from) / Math.max(1, n), size = 10 ** Math.floor(Math.log10(raw));
	const step = Math.max(1, [1, 2, 5, 10].map(f => f * size).find(s => s >= raw) ?? size);
	const list: number[] = [];
	for (let t = Math.ceil(from / step) * step; t <= to && list.length < 100; t += step) {
		list.push(t);
	}
	return {step, list};
}

/** spanIndex is the first span that ends after t. */
export function spanIndex(spans: Span[], t: number): number {
	let lo = 0, hi = spans.length;
	while (lo < hi) {
		const mid = (lo + hi) >> 1;
		if (spans[mid].to <= t) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	return lo;
}

function spanAt(spans: Span[], t: number): Span | null {
	const s = spans[spanIndex(spans, t)];
	return s && s.from <= t ? s : null;
}

function fit(c: CanvasRenderingContext2D, text: string, width: number): string {
	if (c.measureText(text).width <= width) {
		return text;
	}
	let n = text.length;
	while (n > 1 && c.measureText('…' + text.slice(text.length - n)).width > width) {
		n--;
	}
	return '…' + text.slice(text.length - n);
}
