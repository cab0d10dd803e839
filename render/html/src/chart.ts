// Numbers over time, drawn by uPlot.

import uPlot from 'uplot';
import {h} from './dom';
import {palette, printing, repaints} from './theme';
import {Window, type Area} from './zoom';

export interface Series {
	values: number[];
	fill?: () => string;
	stroke?: () => string;
}

const axisWidth = 52, rightGap = 24;

export class Chart {
	readonly el = h('div.chart');
	readonly win: Window;
	private plot: uPlot | null = null;

	/** Times are in nanoseconds. Of series that overlap, the later is in front. */
	constructor(private readonly times: number[], private readonly series: Series[], end: number, private readonly height: number, private readonly tell: (index: number) => void) {
		this.win = new Window(0, Math.max(1, end), Math.max(1, end) / 1000);
		this.win.changed(() => this.plot?.setScale('x', {min: this.win.from / 1e9, max: this.win.to / 1e9}));
		new IntersectionObserver((entries, self) => {
			if (entries.some(e => e.isIntersecting)) {
				self.disconnect();
				this.make();
			}
		}, {rootMargin: '400px'}).observe(this.el);
		new ResizeObserver(() => this.resize()).observe(this.el);
		repaints(() => {
			if (printing) {
				this.make();
			}
			this.resize();
			this.plot?.redraw(false);
		});
	}

	area = (): Area => ({left: axisWidth, width: Math.max(40, this.width - axisWidth - rightGap)});

	private get width(): number {
		return printing ? 700 : this.el.clientWidth;
	}

	private resize(): void {
		if (this.plot && this.width > 0 && this.plot.width !== this.width) {
			this.plot.setSize({width: this.width, height: this.height});
		}
	}

	private make(): void {
		if (this.plot || this.width === 0) {
			return;
		}
		const stepped = uPlot.paths.stepped!({align: 1});
		const axis = {
			stroke: () => palette().muted, font: '11px system-ui, sans-serif',
			grid: {stroke: () => palette().rule, width: 1}, ticks: {show: false},
		};
		this.plot = new uPlot({
			width: this.width, height: this.height, padding: [8, rightGap, 0, 0],
			legend: {show: false},
			cursor: {drag: {x: false, y: false}, points: {show: false}, y: false},
			scales: {x: {time: false, range: () => [this.win.from / 1e9, this.win.to / 1e9]}, y: {range: (_u, _min, max) => [0, Math.max(1, max * 1.08)]}},
			axes: [
				{...axis, size: 28, values: (_u, list) => list.map(v => +v.toFixed(9) + ' s')},
				{...axis, size: axisWidth, values: (_u, list) => list.map(v => v.toLocaleString('en-GB'))},
			],
			series: [{}, ...this.series.map(s => ({
				fill: s.fill, stroke: s.stroke ?? s.fill, width: s.stroke ? 2 : 0, paths: stepped, points: {show: false},
			}))],
			hooks: {setCursor: [u => this.tell(u.cursor.idx ?? -1)]},
		}, [this.times.map(t => t / 1e9), ...this.series.map(s => s.values)] as uPlot.AlignedData, this.el);
	}
}
