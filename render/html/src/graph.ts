// Who waits for whom. Each waits for one other at most, so a deadlock is a circle
// with others behind it: the circle is drawn from top to bottom with a way back, and
// those behind stand beside whom they wait for.

import {h} from './dom';
import {count, place} from './words';
import type {Node, Sheet} from './model';

export function graph(sheet: Sheet, nodes: Node[]): HTMLElement {
	const circle = circleOf(nodes);
	const behind = (on: number) => nodes.filter((n, i) => n.for === on && !circle.includes(i));
	const box = h('div.graph');
	if (circle.length === 0) {
		box.append(h('div.node.nobody', h('strong', 'Nobody who is alive'), h('span', 'holds what they wait for')));
		box.append(crowd(sheet, nodes));
	} else {
		const ring = h('ol.ring');
		circle.forEach(i => {
			const n = nodes[i], next = nodes[n.for];
			ring.append(h('li',
				h('div.node', h('strong', `G${n.g}`), ' ', h('span.fn', fn(sheet, n)), ...n.holds.map(text => h('span.holds', 'holds ' + text))),
				behind(i).length > 0 && crowd(sheet, behind(i)),
				h('div.edge', n.waits, h('span.dep', next === n ? 'which it holds itself' : `which G${next.g} would have to end`)),
			));
		});
		ring.append(h('li.back', circle.length > 1 ? `and so back to G${nodes[circle[0]].g}` : 'and so waits for itself'));
		box.append(ring);
		const rest = nodes.filter((n, i) => !circle.includes(i) && !circle.includes(n.for));
		if (rest.length > 0) {
			box.append(crowd(sheet, rest));
		}
	}
	return h('figure', h('div.picture', {role: 'group', 'aria-label': 'Who waits for whom'}, box));
}

/** circleOf follows the waits from the first node until one comes again. */
function circleOf(nodes: Node[]): number[] {
	const path: number[] = [];
	let i = nodes.length > 0 ? 0 : -1;
	while (nodes[i] && !path.includes(i)) {
		path.push(i);
		i = nodes[i].for;
	}
	return path.includes(i) ? path.slice(path.indexOf(i)) : [];
}

const shown = 5;

function crowd(sheet: Sheet, nodes: Node[]): HTMLElement {
	const list = h('ul.crowd');
	for (const n of nodes.slice(0, shown)) {
		list.append(h('li', h('strong', n.count > 1 ? count(n.count, 'goroutine') : `G${n.g}`), ' ', h('span.fn', fn(sheet, n)), h('span.dep', n.waits)));
	}
	if (nodes.length > shown) {
		list.append(h('li', `and ${nodes.slice(shown).reduce((sum, n) => sum + n.count, 0)} more at ${count(nodes.length - shown, 'line')}`));
	}
	return list;
}

function fn(sheet: Sheet, n: Node): string {
	const f = sheet.frames[n.frame];
	return f ? `${f.short} ${place(f)}` : '';
}
