// One finding: what happened, its pictures, where, why we think so, and what to do.

import {Chart} from './chart';
import {button, fold, h} from './dom';
import {figure, readout} from './figure';
import {graph} from './graph';
import {Timeline} from './timeline';
import {lookOf, palette, type Look} from './theme';
import {count, duration, moment} from './words';
import {unpack, type Finding, type Frame, type Group, type Line, type Scene, type Sheet} from './model';

/** article makes a finding's part of the page. */
export function article(sheet: Sheet, f: Finding): HTMLElement {
	const scene = f.scene ? unpack(f.scene, sheet) : null;
	const timeline = scene && scene.tracks.length > 0 ? new SceneFigure(scene, f) : null;
	return h('article', {id: 'finding-' + f.rank, tabindex: '-1', 'aria-labelledby': 'title-' + f.rank},
		h('p.kicker', h(`span.badge.${f.severity}`, f.severity), h('span', `${f.rank} · ${f.detector}${f.cause ? ' / ' + f.cause : ''}`), h('span', f.sure + ' sure')),
		h('h2', {id: 'title-' + f.rank}, f.title),
		facts(sheet, f),
		f.detail ? h('p.detail', f.detail) : null,
		f.graph.length > 0 ? graph(sheet, f.graph) : null,
		f.picture.length > 0 ? h('pre.drawn', f.picture.join('\n')) : null,
		scene && scene.curve[0].length > 1 ? growth(scene, f, sheet) : null,
		timeline ? timeline.el : f.scene ? null : h('p.absent', f.less.includes('picture') ? f.less : 'There is no picture: what its goroutines did was not looked up.'),
		steps(f, timeline),
		code(f.source),
		evidence(f),
		f.wrong ? h('p.wrong', h('strong', 'No defect if '), f.wrong.replace(/\.$/, '') + '.') : null,
		repair(sheet, f),
		stacks(sheet, f),
		opening(f),
		f.less && f.scene ? h('p.note', f.less) : null,
	);
}

function facts(sheet: Sheet, f: Finding): HTMLElement {
	const list = h('dl.facts');
	const add = (name: string, ...value: (string | Node)[]) => list.append(h('div', h('dt', name), h('dd', ...value)));
	const site = sheet.frames[f.site], caller = sheet.frames[f.caller];
	if (site) {
		add('where', ...where(site));
	}
	if (caller) {
		add('by way of', ...where(caller));
	}
	if (f.costs) {
		add('costs', f.costs);
	}
	if (f.saves) {
		add('saves', 'an estimate: ' + f.saves);
	}
	if (f.tests.length > 0) {
		add(f.tests.length > 1 ? 'tests' : 'test', f.tests.join(', '));
	}
	if (f.seen) {
		add('trace', f.seen);
	}
	return list;
}

function where(f: Frame): (string | HTMLElement)[] {
	return [h('code', f.short), ' ', h('span.path', f.file ? `${f.file}:${f.line}` : '')];
}

class SceneFigure {
	readonly el: HTMLElement;
	private readonly timeline: Timeline;

	constructor(scene: Scene, f: Finding) {
		const out = readout();
		this.timeline = new Timeline(scene, f.steps, text => out.textContent = text);
		const present = new Set<Look>();
		scene.tracks.forEach(t => t.spans.forEach(s => present.add(lookOf(s.kind))));
		const name = `What ${count(scene.tracks.length, 'goroutine')} did from ${moment(scene.from, (scene.to - scene.from) / 100)} to ${moment(scene.to, (scene.to - scene.from) / 100)}`;
		const canvas = this.timeline.picture.canvas;
		canvas.setAttribute('role', 'img');
		canvas.setAttribute('aria-label', name);
		this.el = figure({
			name, content: canvas, target: canvas, area: this.timeline.area, win: this.timeline.win, legend: [...present],
			legendExtra: scene.wakes.length > 0 ? '→ woke (from a dot: a timer, the network, or somebody not shown)' + (scene.wakes.some(w => w.what === 'created') ? '; dashed: started' : '') : undefined,
			readout: out, note: leftOut(scene), select: (rows, spans) => this.timeline.step(rows, spans),
		});
	}

	/** shows tells whether a moment is within the picture. */
	shows(t: number): boolean {
		return t >= this.timeline.win.first && t <= this.timeline.win.last;
	}

	show(f: Finding, i: number): void {
		this.timeline.show(f.steps[i]);
	}
}

function leftOut(scene: Scene): string {
	const {goroutines, spans, wakes} = scene.leftOut, parts: string[] = [];
	if (goroutines > 0) {
		parts.push(count(goroutines, 'more goroutine') + ' of this finding');
	}
	if (spans > 0) {
		parts.push(count(spans, 'short span') + ' (paler bars stand for several)');
	}
	if (wakes > 0) {
		parts.push(count(wakes, 'wake-up'));
	}
	const length = `Shown are ${duration(scene.to - scene.from)}`;
	return parts.length > 0 ? `${length}. Left out: ${parts.join(', ')}.` : `${length}, and nothing is left out.`;
}

function growth(scene: Scene, f: Finding, sheet: Sheet): HTMLElement {
	const [times, counts] = scene.curve, out = readout();
	const end = Math.max(sheet.traces[f.trace]?.duration ?? 0, times[times.length - 1]);
	const chart = new Chart(times, [{values: counts, stroke: () => palette().kinds.lock}], end, 180, i => {
		if (i >= 0) {
			out.textContent = `${moment(times[i], end / 100)}: ${count(counts[i], 'goroutine')} alive`;
		}
	});
	const name = `How many were alive: ${counts[0].toLocaleString('en-GB')} at first, ${Math.max(...counts).toLocaleString('en-GB')} at most, ${counts[counts.length - 1].toLocaleString('en-GB')} at the end`;
	return figure({name, content: chart.el, target: chart.el, area: chart.area, win: chart.win, legend: [], legendExtra: name, readout: out, note: ''});
}

function steps(f: Finding, scene: SceneFigure | null): HTMLElement | null {
	if (f.steps.length === 0) {
		return null;
	}
	const list = h('ol.steps');
	list.style.setProperty('--at', Math.max(...f.steps.map(s => s.at.length)) + 2 + 'ch');
	f.steps.forEach((s, i) => {
		const time = scene?.shows(s.t) ? button(s.at, 'Show this moment in the picture', () => scene.show(f, i)) : h('span', s.at);
		list.append(h('li', time, h('span.who', s.g > 0 ? 'G' + s.g : ''), h('span', s.event ? h('em', s.event) : null, ' ', s.text)));
	});
	return h('section', h('h3', 'Step by step'), list);
}

function code(lines: Line[], printed = true): HTMLElement | null {
	if (lines.length === 0) {
		return null;
	}
	const indent = Math.min(...lines.filter(l => l.text.trim()).map(l => l.text.length - l.text.trimStart().length));
	const pre = h('pre.code', {tabindex: '0', 'aria-label': 'Source'});
	for (const l of lines) {
		const row = h('span.line', h('span.no', l.mark === '>' || printed ? String(l.line) : ''), h('span.sign', l.mark || ' '), l.text.slice(Number.isFinite(indent) ? indent : 0) + '\n');
		if (l.mark) {
			row.classList.add(l.mark === '>' ? 'site' : l.mark === '-' ? 'goes' : 'comes');
		}
		pre.append(row);
	}
	return pre;
}

function evidence(f: Finding): HTMLElement | null {
	if (f.evidence.length === 0) {
		return null;
	}
	const list = h('ul.evidence');
	for (const e of f.evidence) {
		const sign = e.sign > 0 ? '+' : e.sign < 0 ? '−' : '·';
		list.append(h('li', h('span.sign', {title: e.sign < 0 ? 'speaks against it' : 'speaks for it'}, sign), h('span', e.text)));
	}
	return h('section', h('h3', 'Why we think so'), list);
}

function repair(sheet: Sheet, f: Finding): HTMLElement | null {
	const p = sheet.patterns[f.pattern];
	if (!p) {
		return null;
	}
	const part = (name: string, lines: Line[]) => lines.length > 0 ? h('div', h('h4', name), code(lines, false)) : null;
	return fold(h('span', h('strong', 'Repair: '), p.title), true,
		p.why ? h('p', p.why) : null,
		h('div.beforeafter', part('before', p.before), part('after', p.after)),
		...p.links.map(link => h('p', h('a', {href: link, rel: 'noopener noreferrer'}, link))),
	);
}

function stacks(sheet: Sheet, f: Finding): HTMLElement | null {
	if (f.groups.length === 0) {
		return null;
	}
	const box = h('section', h('h3', 'Goroutines'));
	for (const g of f.groups) {
		const head = h('span', h('strong', g.role || 'goroutines'), ' ', g.text);
		box.append(g.stack.length > 0 ? fold(head, false, stack(sheet, f, g)) : h('p.nostack', head));
	}
	return box;
}

function stack(sheet: Sheet, f: Finding, g: Group): HTMLElement {
	const list = h('ol.stack', {tabindex: '0'});
	g.stack.forEach((index, i) => {
		const frame = sheet.frames[index];
		if (frame) {
			list.append(h(index === f.site ? 'li.site' : i < g.top ? 'li.machinery' : 'li', h('code', frame.fn), h('span.path', frame.file ? `${frame.file}:${frame.line}` : '')));
		}
	});
	if (g.leftOut > 0) {
		list.append(h('li', `… ${count(g.leftOut, 'more frame')}`));
	}
	return list;
}

function opening(f: Finding): HTMLElement | null {
	if (!f.open) {
		return null;
	}
	return h('section.open', h('h3', 'The same moment in go tool trace'),
		copyable(f.open.command), h('p.then', 'and when it listens, open'), copyable(f.open.url),
		h('p.note', (f.open.note ? f.open.note + ' ' : '') + 'The part after # marks the stretch of time, in milliseconds.'));
}

function copyable(text: string): HTMLElement {
	const line = h('pre', {tabindex: '0'}, text);
	const copy = button('copy', 'Copy', () => {
		const done = () => {
			copy.textContent = 'copied';
			setTimeout(() => copy.textContent = 'copy', 1500);
		};
		if (navigator.clipboard) {
			navigator.clipboard.writeText(text).then(done, () => select(line));
		} else {
			select(line);
		}
	});
	return h('div.copyable', line, copy);
}

function select(el: Element): void {
	getSelection()?.selectAllChildren(el);
}
