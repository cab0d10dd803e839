// The page, from top to bottom: the answer, what the program did in all, the list
// of findings, each of them, and what no conclusion may be drawn about.

import {button, fold, h} from './dom';
import {colours} from './figure';
import {article} from './finding';
import {helpDialog, keys} from './keys';
import {overview} from './overview';
import {Search} from './search';
import {start, toggle} from './theme';
import {count, place} from './words';
import type {Finding, Sheet} from './model';

function page(sheet: Sheet): void {
	const articles = sheet.findings.map(f => article(sheet, f));
	const rows = sheet.findings.map(f => row(sheet, f));
	let current = -1;

	const go = (i: number) => {
		const a = articles[i];
		if (!a) {
			return;
		}
		articles[current]?.classList.remove('current');
		current = i;
		a.hidden = false;
		a.classList.add('current');
		a.focus({preventScroll: true});
		a.scrollIntoView({block: 'start'});
	};
	const goTo = (f: Finding) => go(sheet.findings.indexOf(f));
	/** move goes on from the current finding if it is to be seen, else from the first that is. */
	const move = (by: number) => {
		const visible = (i: number) => {
			const box = articles[i]?.getBoundingClientRect();
			return box && box.bottom > 60 && box.top < innerHeight;
		};
		let from = current;
		if (!visible(from) && scrollY > 0) {
			from = articles.findIndex((_, i) => visible(i)) - (by > 0 ? 1 : 0);
		}
		for (let i = from + by; i >= 0 && i < articles.length; i += by) {
			if (!articles[i].hidden) {
				go(i);
				return;
			}
		}
		if (by < 0) {
			articles[current]?.classList.remove('current');
			current = -1;
			scrollTo({top: 0});
			document.body.focus();
		}
	};

	const input = h('input', {type: 'search', placeholder: 'Search findings  /', 'aria-label': 'Search findings', spellcheck: 'false', autocomplete: 'off'});
	const status = h('span.status', {role: 'status'});
	const dialog = helpDialog();
	const header = h('header',
		h('span.brand', 'tracedoc'),
		sheet.findings.length > 0 ? h('div.search', input, status) : h('div.search'),
		button('◐', 'Dark or light (t)', toggle),
		button('?', 'Keys (?)', () => dialog.showModal()),
	);
	const list = h('section.list', h('h2', 'Findings'), h('ol.rows', ...rows));
	document.body.append(header, h('main', top(sheet), ...traces(sheet, goTo),
		sheet.findings.length > 1 ? list : null,
		...articles, bottom(sheet)), dialog);
	const search = new Search(input, status, articles, rows, rows.length > 1 ? list : articles[0] ?? null);
	rows.forEach((r, i) => r.querySelector('a')?.addEventListener('click', ev => {
		ev.preventDefault();
		go(i);
	}));
	document.querySelector('.first a')?.addEventListener('click', ev => {
		ev.preventDefault();
		go(0);
	});
	keys({
		move,
		current: () => articles[current] ?? null,
		search: () => input.focus(),
		escape: () => {
			if (input.value) {
				search.clear();
			}
			if (document.activeElement instanceof HTMLElement) {
				document.activeElement.blur();
			}
		},
		toggleTheme: toggle,
		help: () => dialog.open ? dialog.close() : dialog.showModal(),
	});
}

function top(sheet: Sheet): HTMLElement {
	const first = sheet.findings[0];
	const box = h('section.top', h('h1', sheet.verdict + '.'));
	if (first) {
		box.append(h('p.first', 'Look at this first: ', h('a', {href: '#finding-' + first.rank}, first.title.replace(/\.$/, '')), '.'));
	}
	sheet.notes.forEach(text => box.append(h('p.note', text)));
	return box;
}

/** traces shows what all goroutines of the trace of the worst finding did, and of the others once they are unfolded. */
function traces(sheet: Sheet, go: (f: Finding) => void): HTMLElement[] {
	const worst = sheet.findings[0]?.trace ?? 0, shown = sheet.traces[worst] ? worst : 0;
	const parts = sheet.traces[shown] ? [h('section', about(sheet, shown), ...details(sheet, shown, go))] : [];
	const rest = sheet.traces.map((_, i) => i).filter(i => i !== shown);
	if (rest.length > 0) {
		const list = fold(count(rest.length, 'more trace'), false);
		list.addEventListener('toggle', () => list.append(...rest.map(i => {
			const one = fold(about(sheet, i), false);
			one.addEventListener('toggle', () => one.append(...details(sheet, i, go)), {once: true});
			return one;
		})), {once: true});
		parts.push(list);
	}
	return parts;
}

function about(sheet: Sheet, i: number): HTMLElement {
	return h('p.trace', h('strong', sheet.traces[i].source), ' ', sheet.traces[i].about);
}

function details(sheet: Sheet, i: number, go: (f: Finding) => void): HTMLElement[] {
	return [...sheet.traces[i].warnings.map(w => h('p.warning', w)), overview(sheet, i, go)];
}

function row(sheet: Sheet, f: Finding): HTMLElement {
	const site = sheet.frames[f.caller] ?? sheet.frames[f.site];
	return h('li',
		h(`span.badge.${f.severity}`, f.severity),
		h('a', {href: '#finding-' + f.rank}, `${f.rank}. ${f.title}`),
		h('span.meta', [f.detector, site && site.file ? place(site) : '', f.costs].filter(Boolean).join(' · ')));
}

function bottom(sheet: Sheet): HTMLElement {
	const box = h('footer');
	for (const t of sheet.traces) {
		if (!t.resting) {
			continue;
		}
		const list = h('ul.resting');
		for (const r of t.restingAt) {
			const f = sheet.frames[r.frame];
			list.append(h('li', h('span.n', r.n.toLocaleString('en-GB')), h('span', h('code', f ? f.short : ''), f ? ' ' + place(f) : '', h('span.dep', r.why))));
		}
		if (t.restingOut > 0) {
			list.append(h('li', h('span.n', '…'), h('span', count(t.restingOut, 'more site'))));
		}
		box.append(h('section', h('h2', t.resting), sheet.traces.length > 1 ? h('p.note', t.source) : null, list));
	}
	if (sheet.blind.length > 0) {
		box.append(h('section', h('h2', sheet.traces.length > 1 ? 'What these traces cannot show' : 'What this trace cannot show'),
			h('ul', ...sheet.blind.map(b => h('li', b.text + (b.in ? ` (${b.in})` : ''))))));
	}
	box.append(h('p.note', `tracedoc ${sheet.version}`));
	return box;
}

start();
colours();
try {
	page(JSON.parse(document.getElementById('report')!.textContent!) as Sheet);
	document.documentElement.dataset.ready = 'yes';
} catch (err) {
	document.body.prepend(h('p.warning', `This browser could not show the report (${String(err)}). The same is in --format text and json.`));
	throw err;
}
