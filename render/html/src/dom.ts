// Elements are made here and nowhere else. Text is always set as text: nothing
// that comes from a trace is ever read as markup.

type Child = globalThis.Node | string | null | false;

/** h makes an element: h('p.note', {title: 'x'}, 'text', child). */
export function h<K extends keyof HTMLElementTagNameMap>(name: K | `${K}.${string}`, ...rest: (Record<string, string> | Child)[]): HTMLElementTagNameMap[K] {
	const [tag, ...classes] = name.split('.');
	const el = document.createElement(tag) as HTMLElementTagNameMap[K];
	el.classList.add(...classes);
	for (const x of rest) {
		if (x === null || x === false) {
			continue;
		}
		if (typeof x === 'string' || x instanceof globalThis.Node) {
			el.append(x);
			continue;
		}
		for (const [key, value] of Object.entries(x)) {
			el.setAttribute(key, value);
		}
	}
	return el;
}

/** button makes a button that does something. */
export function button(label: string, title: string, act: () => void): HTMLButtonElement {
	const b = h('button', {type: 'button', title, 'aria-label': title}, label);
	b.addEventListener('click', act);
	return b;
}

/** fold makes something to unfold. It is open in print if it matters there. */
export function fold(summary: string | globalThis.Node, printed: boolean, ...content: Child[]): HTMLDetailsElement {
	const d = h('details', h('summary', summary), ...content);
	if (printed) {
		d.classList.add('printed');
	}
	return d;
}
