// What all goroutines of a trace did: over time, with the findings marked on it,
// and in sum.

import {Chart} from './chart';
import {h} from './dom';
import {figure, readout} from './figure';
import {lookOf, looks, palette, type Look} from './theme';
import {count, doing, duration, moment} from './words';
import type {Finding, Sheet, Trace} from './model';

/** From the bottom of the stack up. */
const order: Look[] = ['running', 'syscall', 'runnable', 'lock', 'channel', 'network', 'sleep', 'other'];

export function overview(sheet: Sheet, index: number, go: (f: Finding) => void): HTMLElement {
	const t = sheet.traces[index];
	const findings = sheet.findings.filter(f => f.trace === index);
	if (t.activity.length === 0) {
		return h('p.absent', 'This report was made without looking at what all goroutines did over time: analyse the trace with --format html to see it.');
	}
	return h('div.overview', overTime(sheet, t, findings, go), whereTimeWent(sheet, t));
}

function overTime(sheet: Sheet, t: Trace, findings: Finding[], go: (f: Finding) => void): HTMLElement {
	const n = Math.max(...t.activity.map(b => b.mean.length));
	const times = Array.from({length: n}, (_, i) => i * t.step);
	const sums = new Map<Look, number[]>();
	for (const band of t.activity) {
		const look = lookOf(sheet.kinds[band.kind]), sum = sums.get(look) ?? new Array<number>(n).fill(0);
		band.mean.forEach((v, i) => sum[i] += v);
		sums.set(look, sum);
	}
	const present = order.filter(l => sums.get(l)?.some(v => v > 0));
	times.push(t.duration); // where the last part ends
	sums.forEach(list => list.push(list[n - 1]));
	const stacked = present.map((_, k) => times.map((_, i) => present.slice(0, k + 1).reduce((sum, l) => sum + sums.get(l)![i], 0)));
	const series = present.map((look, k) => ({values: stacked[k], fill: () => palette().kinds[look]})).reverse();
	const out = readout();
	const chart = new Chart(times, series, t.duration, 190, i => {
		if (i >= 0) {
			const parts = present.filter(l => sums.get(l)![i] >= 0.05).map(l => `${rounded(sums.get(l)![i])} ${looks.find(x => x.look === l)!.name.split(':')[0]}`);
			out.textContent = `${moment(times[i], t.step)}: ${count(rounded(stacked[present.length - 1][i]), 'goroutine')}; ${parts.join(', ')}`;
		}
	});
	const strip = h('div.marks', {role: 'group', 'aria-label': 'Findings on the time axis'});
	const left = marks(strip, findings, chart, go);
	const note = 'Goroutines of the program, without the runtime’s own.' +
		(left > 0 ? ` ${count(left, 'more finding')} not marked, for want of room.` : '');
	return h('section', h('h2', 'Goroutines over time'), figure({
		name: `Goroutines over ${duration(t.duration)}, by what they do`, content: h('div', strip, chart.el), target: chart.el, area: chart.area, win: chart.win,
		legend: present, readout: out, note,
	}));
}

const lanes = 4;

/** marks puts a button for each finding above the chart, in a few lanes; it returns how many found no room. */
function marks(strip: HTMLElement, findings: Finding[], chart: Chart, go: (f: Finding) => void): number {
	const ends: number[] = [], least = (chart.win.last - chart.win.first) / 24;
	const placed: {el: HTMLElement; f: Finding}[] = [];
	for (const f of findings) {
		let lane = 0;
		const from = Math.min(f.from, chart.win.last - least), to = Math.max(f.to, from + least);
		while (lane < lanes && placed.some(p => p.el.dataset.lane === String(lane) && Math.min(p.f.from, chart.win.last - least) < to && Math.max(p.f.to, Math.min(p.f.from, chart.win.last - least) + least) > from)) {
			lane++;
		}
		if (lane === lanes) {
			continue;
		}
		ends[lane] = to;
		const el = h(`button.${f.severity}`, {type: 'button', title: `${f.rank}. ${f.title}`, 'aria-label': `Finding ${f.rank}, ${f.severity}: ${f.title}`, 'data-lane': String(lane)}, h('span', String(f.rank)));
		el.addEventListener('click', () => go(f));
		el.style.top = lane * 21 + 'px';
		placed.push({el, f});
		strip.append(el);
	}
	strip.style.height = ends.length * 21 + 'px';
	const arrange = () => {
		const {from, to} = chart.win, at = (t: number) => Math.max(0, Math.min(1, (t - from) / (to - from))) * 100;
		for (const {el, f} of placed) {
			el.hidden = f.to < from || f.from > to;
			el.style.left = Math.min(at(f.from), 97) + '%';
			el.style.width = Math.max(0, at(f.to) - at(f.from)) + '%';
		}
	};
	chart.win.changed(arrange);
	arrange();
	return findings.length - placed.length;
}

const rows = 8;

function whereTimeWent(sheet: Sheet, t: Trace): HTMLElement {
	const bands = t.activity.filter(b => b.spent > 0).sort((a, b) => b.spent - a.spent);
	const total = bands.reduce((sum, b) => sum + b.spent, 0);
	const list = h('ul.spent');
	for (const b of bands.slice(0, rows)) {
		const kind = sheet.kinds[b.kind], meter = h('span.meter', h(`span.${lookOf(kind)}`));
		(meter.firstChild as HTMLElement).style.width = b.spent / total * 100 + '%';
		list.append(h('li', h('span.what', doing(kind)), meter, h('span.n', `${share(b.spent / total)} · ${b.text}`)));
	}
	if (bands.length > rows) {
		const rest = bands.slice(rows).reduce((sum, b) => sum + b.spent, 0);
		list.append(h('li', h('span.what', `${bands.length - rows} more`), h('span.meter'), h('span.n', share(rest / total))));
	}
	return h('section', h('h2', 'Where the time went'), list,
		h('p.note', `${duration(total)} of goroutines’ time in ${duration(t.duration)}. Most waiting is rest, and costs nobody anything; the findings say which does.`));
}

function share(part: number): string {
	return part < 0.01 ? '< 1 %' : Math.round(part * 100) + ' %';
}

function rounded(n: number): number {
	return n < 10 ? Math.round(n * 10) / 10 : Math.round(n);
}
