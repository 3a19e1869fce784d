// What the page does: switch metrics, sort, choose models and datasets, show folds, save figures and tables.
const metric = document.getElementById("metric"),
  form = document.getElementById("choice");
const SVG = ["http:", "//www.w3.org/2000/svg"].join(""); // a name, not an address: nothing is loaded
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  // an element; children are elements or text
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}
const fixed = (value, places) => (value === null || value === undefined ? "–" : value.toFixed(places));
const ofParts = (parts) => fixed(Number.isInteger(parts) ? parts / numbers.constants.FOLD_PARTS : null, 4);
const listing = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
const pText = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);

function refresh() {
  explore();
  relateAgain();
}
function show() {
  for (const view of document.querySelectorAll(".view")) view.hidden = view.dataset.metric !== metric.value;
  for (const link of document.querySelectorAll("[data-part]")) link.hash = `${link.dataset.part}-${metric.value}`;
  refresh();
}

// sorting: one listener for every table, those of later as well
function key(cell) {
  const text = (cell.dataset.value ?? cell.textContent).replaceAll(",", "");
  const number = text === "–" || text === "nan" || text === "None" ? Infinity : Number(text);
  return Number.isNaN(number) ? text : number;
}
function order(a, b) {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
  return String(a).localeCompare(String(b));
}
function sort(head) {
  const heads = [...head.parentElement.cells],
    column = heads.indexOf(head),
    body = head.closest("table").tBodies[0];
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  [...body.rows].sort((a, b) => sign * order(key(a.cells[column]), key(b.cells[column]))).forEach((row) => body.append(row));
}

// choosing
function chosenDatasets() {
  const limit = (name, otherwise) => (byId(name).value === "" ? otherwise : Number(byId(name).value));
  const within = (value, name) =>
    (byId(`${name}-from`).value === "" && byId(`${name}-to`).value === "") ||
    (value !== null && value >= limit(`${name}-from`, -Infinity) && value <= limit(`${name}-to`, Infinity));
  const some = (value, name) => byId(name).value === "any" || (value !== null && value > 0 === (byId(name).value === "some"));
  const classes = byId("classes").value,
    source = byId("source").value;
  return numbers.datasets
    .map((_, i) => i)
    .filter((i) => {
      const set = numbers.datasets[i];
      return (
        within(set.rows, "rows") &&
        within(set.features, "features") &&
        some(set.missing, "missing") &&
        some(set.categorical, "categorical") &&
        (classes === "any" || (set.classes !== null && (set.classes === 2) === (classes === "two"))) &&
        (source === "any" || set.source === source)
      );
    });
}
const chosenModels = () => [...form.querySelectorAll("[name=model]")].flatMap((box, i) => (box.checked ? [i] : []));

function pool() {
  // the statistics of the choice, with its names
  const { scores, absent, better } = numbers.metrics[metric.value],
    lacking = new Set(absent.map((pair) => pair.join())),
    asked = chosenModels();
  const sets = chosenDatasets(),
    scored = sets.filter((d) => asked.some((m) => scores[d][m] !== null));
  const shared = common(
    scored.map((d) => asked.map((m) => !lacking.has(`${d},${m}`))),
    asked.map((m) => numbers.models[m]),
  );
  const models = shared.columns.map((place) => asked[place]),
    chosen = shared.rows.map((place) => models.map((m) => scores[scored[place]][m]));
  return {
    names: models.map((m) => numbers.models[m]),
    n_chosen: sets.length,
    n_compared: chosen.length,
    n_scored: scored.length,
    found: compare(chosen, better, numbers.q[models.length], numbers.draws),
  };
}
function explore() {
  const { names, n_chosen, n_compared, n_scored, found } = pool(),
    out = byId("choice-result");
  const shared = n_compared < n_scored ? `Compared on the ${n_compared} that all of these models ran. ` : "";
  const count = `${n_chosen} of ${numbers.datasets.length} datasets, ${names.length} of ${numbers.models.length} models. ${shared}`;
  if (!found) {
    byId("choice-said").textContent = `${count}Nothing is left to compare: widen the choice.`;
    out.replaceChildren();
    return;
  }
  const best = found.meanRanks
    .map((_, i) => i)
    .sort((a, b) => found.meanRanks[a] - found.meanRanks[b] || (names[a] < names[b] ? -1 : 1));
  byId("choice-said").textContent = count + sentence(names, found, best);
  const parts = [region("Leaderboard of the choice", boardTable(names, found, best))];
  if (found.cd !== undefined) {
    parts.push(
      make(
        "p",
        { class: "soft" },
        "Critical-difference diagram: mean ranks, best on the left; a bar joins models that differ by less than the critical difference (CD) of the Nemenyi test.",
      ),
    );
    parts.push(region("Critical-difference diagram of the choice", criticalDifference(names, found)));
    parts.push(
      make(
        "p",
        { class: "soft" },
        "Win rates: on what share of the datasets the row's model beats the column's, in %, ties counted half. Underlined: the two differ beyond chance (Wilcoxon, Holm).",
      ),
    );
    parts.push(region("Win rates of the choice", winRates(names, found, best)));
  }
  out.replaceChildren(...parts);
  parts.filter((part) => part.matches(".scroll")).forEach(addTools);
}
function sentence(names, found, best) {
  const leader = best[0],
    lead = `${names[leader]} has the best mean rank, ${found.meanRanks[leader].toFixed(2)}.`;
  if (!found.omnibus) return `${lead} It takes two models and two datasets for a test.`;
  const { f, d1, d2, p } = found.omnibus,
    figures = `Friedman's test with Iman and Davenport's correction: F(${d1}, ${d2}) = ${f.toFixed(1)}, ${pText(p)}`;
  if (p >= ALPHA) return `${lead} The differences are no larger than chance gives (${figures}).`;
  const apart = best.filter((i) =>
    found.tests.some(([a, b, q]) => q < ALPHA && [a, b].includes(leader) && [a, b].includes(i) && i !== leader),
  );
  const near = best.filter((i) => i !== leader && !apart.includes(i)).map((i) => names[i]);
  return `${lead} The models differ beyond chance (${figures}). ${near.length ? `Not told apart from it: ${listing(near)}.` : "It differs from every other model beyond chance."}`;
}
function region(label, content) {
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, content);
}
function boardTable(names, found, best) {
  const titles = [
    "Model",
    "Mean rank",
    "95% interval",
    "Elo",
    "95% interval",
    "Normalised score",
    "Win rate %",
    "Wins",
    "Ties",
    "Losses",
    "Datasets",
  ];
  const table = make("table", { class: "board sortable" }),
    head = make("tr");
  titles.forEach((title, i) =>
    head.append(
      make("th", { scope: "col", ...(i === 1 ? { "aria-sort": "ascending" } : {}) }, make("button", { type: "button" }, title)),
    ),
  );
  const body = make("tbody");
  for (const i of best) {
    const others = found.rates[i].filter((_, j) => j !== i),
      between = (ends, places) => (ends[0] === null ? "–" : ends.map((end) => end.toFixed(places)).join(" – "));
    const cells = [
      fixed(found.meanRanks[i], 2),
      between(found.rankInterval[i], 2),
      fixed(found.rating[i], 0),
      between(found.ratingInterval[i], 0),
      fixed(found.normalized[i], 3),
      others.length ? fixed((100 * sum(others)) / others.length, 0) : "–",
      sum(found.wins[i]),
      sum(found.ties[i]),
      sum(found.wins.map((row) => row[i])),
      found.scored[i],
    ];
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row", title: names[i] }, names[i]),
        ...cells.map((cell, j) =>
          make(
            "td",
            j === 1 || j === 3 ? { "data-value": (j === 1 ? found.rankInterval : found.ratingInterval)[i][0] } : {},
            cell,
          ),
        ),
      ),
    );
  }
  table.append(make("thead", {}, head), body);
  return table;
}
function winRates(names, found, best) {
  const differ = new Set(found.tests.filter(([, , p]) => p < ALPHA).flatMap(([a, b]) => [`${a} ${b}`, `${b} ${a}`]));
  const table = make("table", { class: "heat" }),
    body = make("tbody");
  table.append(
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "col" }, "Row beats column, %"),
        ...best.map((i) => make("th", { scope: "col" }, make("span", {}, names[i]))),
      ),
    ),
    body,
  );
  for (const i of best) {
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, names[i]),
        ...best.map((j) => {
          if (i === j) return make("td", { class: "snone" });
          const text = (100 * found.rates[i][j]).toFixed(0),
            shade = Math.min(4, Math.floor(5 * found.rates[i][j]));
          const title = `${names[i]} against ${names[j]}: ${found.wins[i][j]} wins, ${found.ties[i][j]} ties, ${found.wins[j][i]} losses`;
          return make("td", { class: `s${shade}`, title }, differ.has(`${i} ${j}`) ? make("b", {}, text) : text);
        }),
      ),
    );
  }
  return table;
}
function criticalDifference(names, found) {
  // as plots.critical_difference
  const place = names.map((_, i) => i).sort((a, b) => found.meanRanks[a] - found.meanRanks[b]),
    k = place.length,
    half = Math.ceil(k / 2);
  const labels = place.map((i) => `${names[i]}  ${found.meanRanks[i].toFixed(2)}`),
    widest = (texts) => 6.9 * Math.max(...texts.map((text) => text.length));
  const left = 24 + widest(labels.slice(0, half)),
    right = left + 420,
    step = [1, 2, 5, 10, 20, 50, 100].find((by) => by >= k || (by * 420) / (k - 1) >= 26) ?? k,
    width = right + 24 + widest(labels.slice(half)),
    axis = 60,
    below = 72 + 8 * found.groups.length;
  const at = (rank) => left + ((rank - 1) / (k - 1)) * (right - left);
  const parts = [
      line(
        [
          [left, axis],
          [right, axis],
        ],
        "axis",
      ),
    ],
    height = below + 19 * half + 6;
  for (let tick = 1; tick <= k; tick += 1)
    parts.push(
      line(
        [
          [at(tick), axis - 5],
          [at(tick), axis],
        ],
        "axis",
      ),
      ...((tick - 1) % step ? [] : [write(at(tick), axis - 9, tick, "middle")]),
    );
  const end = found.cd <= k - 1 ? at(1 + found.cd) : right;
  parts.push(
    line(
      [
        [left, 20],
        [left, 26],
        [end, 26],
        [end, 20],
      ],
      "axis",
    ),
    write((left + end) / 2, 16, `CD = ${found.cd.toFixed(2)}${found.cd <= k - 1 ? "" : " (wider than the axis)"}`, "middle"),
  );
  found.groups.forEach((group, i) =>
    parts.push(
      line(
        [
          [at(found.meanRanks[group[0]]) - 4, axis + 9 + 8 * i],
          [at(found.meanRanks[group.at(-1)]) + 4, axis + 9 + 8 * i],
        ],
        "bar",
      ),
    ),
  );
  place.forEach((model, i) => {
    const onLeft = i < half,
      y = below + 19 * ((onLeft ? i : k - 1 - i) + 0.5),
      [stop, anchor, gap] = onLeft ? [left - 12, "end", -5] : [right + 12, "start", 5];
    parts.push(
      line(
        [
          [at(found.meanRanks[model]), axis],
          [at(found.meanRanks[model]), y],
          [stop, y],
        ],
        "thin",
      ),
      write(stop + gap, y + 4, labels[i], anchor),
    );
  });
  return figure(width, height, `Critical-difference diagram. Mean ranks: ${labels.join(", ")}`, parts);
}

// shapes of figures
function shape(tag, attributes, ...content) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}
const line = (points, kind) =>
  shape("polyline", { points: points.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" "), class: kind });
const write = (x, y, content, anchor, more = {}) =>
  shape("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor, ...more }, content);
const figure = (width, height, label, parts) =>
  shape(
    "svg",
    {
      viewBox: `0 0 ${width.toFixed(1)} ${height}`,
      role: "img",
      "aria-label": label,
      style: `max-width:${width.toFixed(1)}px;min-width:${(0.8 * width).toFixed(1)}px`,
    },
    ...parts,
  );

// metafeatures
const related = numbers.related;
let lastRelation = {}; // another metafeature in the figure needs no new correlations
function bestOf(side, d) {
  // score of a model, or the best of a family, on a dataset, more being better; null: none
  const { scores, better } = numbers.metrics[metric.value],
    members = related.families[side] ?? [numbers.models.indexOf(side)];
  const known = members.map((m) => scores[d][m]).filter((score) => score !== null);
  return known.length ? Math.max(...known.map((score) => (better ? score : -score))) : null;
}
function relation() {
  // of the chosen datasets on which both sides have a score
  const sides = [byId("side-first").value, byId("side-second").value];
  const sets = chosenDatasets().filter(
    (d) => sides.every((side) => bestOf(side, d) !== null) && related.values[d].some((value) => value !== null),
  );
  const gap = sets.map((d) => bestOf(sides[0], d) - bestOf(sides[1], d)),
    column = (_, f) => sets.map((d) => related.values[d][f]);
  const asked = [metric.value, sides, sets].join(" ");
  if (lastRelation.asked !== asked)
    lastRelation = {
      asked,
      found: sets.length >= 6 && new Set(gap).size > 1 ? correlate(related.names.map(column), gap, related.draws) : [],
    };
  return { sides, sets, gap, found: lastRelation.found };
}
function relate() {
  const { sides, sets, gap, found } = relation(),
    select = byId("metafeature"),
    wanted = select.value,
    out = byId("related-result");
  select.replaceChildren(...found.map(({ f }) => make("option", { value: f }, related.names[f])));
  if (!found.length) {
    byId("related-said").textContent = `${sets.length} datasets: at least 6 with a varying gap are needed.`;
    out.replaceChildren();
    return;
  }
  if (found.some(({ f }) => String(f) === wanted)) select.value = wanted;
  const sure = found.filter(({ adjusted }) => adjusted < ALPHA).length,
    ahead = gap.filter((value) => value > 0).length;
  byId("related-said").textContent =
    `${sides[0]} is ahead of ${sides[1]} on ${ahead} of ${sets.length} datasets; ${sure || "none"} of ${found.length} metafeatures correlate${sure === 1 ? "s" : ""} with the gap beyond chance.`;
  const body = make("tbody"),
    titles = ["Metafeature", "Correlation", "95% interval", "p", "Adjusted p"];
  for (const { f, r, low, high, p, adjusted } of found.slice(0, 12))
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, related.names[f]),
        ...[fixed(r, 2), `${fixed(low, 2)} to ${fixed(high, 2)}`, fixed(p, 4), fixed(adjusted, 4)].map((cell) =>
          make("td", {}, cell),
        ),
      ),
    );
  const table = make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
    body,
  );
  const about = make(
    "p",
    { class: "soft" },
    `The largest of Spearman's correlations with the gap over the chosen datasets, with 95% intervals; p by ${related.draws} shuffles of the gap; adjusted: for having looked at every metafeature.`,
  );
  const places = [region("Gap against a metafeature", scatter()), region("Correlations of metafeatures with the gap", table)];
  out.replaceChildren(places[0], about, places[1]);
  places.forEach(addTools);
  function scatter() {
    const f = Number(select.value),
      known = sets
        .map((d, i) => ({ name: numbers.datasets[d].name, x: related.values[d][f], y: gap[i] }))
        .filter(({ x }) => x !== null);
    return scatterOf(known, related.names[f], `${metric.selectedOptions[0].textContent}: ${sides.join(" − ")}`);
  }
}
function logAxis(values, start, stop) {
  // as plots._log_axis
  let low = Math.log10(Math.min(...values)),
    high = Math.log10(Math.max(...values));
  const margin = high - low > 0.2 ? 0.1 : 0.5;
  low -= margin;
  high += margin;
  const of = (value) => start + ((Math.log10(value) - low) / (high - low)) * (stop - start),
    factors = high - low < 2 ? [1, 2, 5] : [1];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => 10 ** (Math.floor(low) + i));
  const ticks = powers
    .flatMap((power) => factors.map((factor) => factor * power))
    .filter((tick) => low <= Math.log10(tick) && Math.log10(tick) <= high);
  const step = 1 + Math.floor(ticks.length / numbers.constants.MOST_TICKS);
  const label = (tick) =>
    tick >= 1 ? tick.toLocaleString("en", { maximumFractionDigits: 0 }) : String(Number(tick.toPrecision(6)));
  return { of, ticks: ticks.filter((_, i) => i % step === 0).map((tick) => [of(tick), label(tick)]) };
}
function linearAxis(values, start, stop) {
  // as plots._linear_axis
  let low = Math.min(...values),
    high = Math.max(...values);
  const margin = 0.06 * (high - low) || 0.05;
  low -= margin;
  high += margin;
  const of = (value) => start + ((value - low) / (high - low)) * (stop - start),
    power = 10 ** Math.floor(Math.log10((high - low) / 3));
  const step = power * ([5, 2].find((factor) => (high - low) / (power * factor) >= 3) ?? 1),
    places = Math.max(0, Math.ceil(-Math.log10(step)));
  const ticks = [];
  for (let i = Math.ceil(low / step); i <= Math.floor(high / step); i += 1)
    ticks.push([of(i * step), (i * step + 0).toFixed(places)]);
  return { of, ticks };
}
function scatterOf(points, xName, yName) {
  // as plots.scatter
  const [left, top, right, bottom] = [64, 20, 590, 330],
    middle = (top + bottom) / 2,
    xs = points.map((point) => point.x);
  const isLog = Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= numbers.constants.LOG_RATIO,
    x = (isLog ? logAxis : linearAxis)(xs, left, right);
  const y = linearAxis([0, ...points.map((point) => point.y)], bottom, top);
  const parts = [
    ...y.ticks.flatMap(([at, label]) => [
      line(
        [
          [left, at],
          [right, at],
        ],
        "grid",
      ),
      write(left - 8, at + 4, label, "end"),
    ]),
    line(
      [
        [left, top],
        [left, bottom],
        [right, bottom],
      ],
      "axis",
    ),
    line(
      [
        [left, y.of(0)],
        [right, y.of(0)],
      ],
      "thin",
    ),
    ...x.ticks.flatMap(([at, label]) => [
      line(
        [
          [at, bottom],
          [at, bottom + 5],
        ],
        "axis",
      ),
      write(at, bottom + 19, label, "middle"),
    ]),
    write((left + right) / 2, bottom + 40, isLog ? `${xName} (log scale)` : xName, "middle"),
    write(14, middle, yName, "middle", { transform: `rotate(-90 14 ${middle})` }),
    ...points.map((point) =>
      shape(
        "circle",
        { cx: x.of(point.x).toFixed(1), cy: y.of(point.y).toFixed(1), r: 5, class: "dot best" },
        shape("title", {}, point.name),
      ),
    ),
  ];
  return figure(760, 378, `${yName} against ${xName}, a dot a dataset`, parts);
}

// drill-down: the folds of one dataset
function showFolds(name) {
  const dialog = byId("folds"),
    rows = numbers.metrics[metric.value].folds[name] ?? [],
    labels = numbers.folds[name] ?? [];
  const d = numbers.datasets.findIndex((set) => set.name === name),
    { scores, better } = numbers.metrics[metric.value];
  const models = numbers.models
    .map((_, m) => m)
    .sort(
      (a, b) =>
        (better ? -1 : 1) *
          ((scores[d][a] ?? (better ? -Infinity : Infinity)) - (scores[d][b] ?? (better ? -Infinity : Infinity))) || a - b,
    );
  const remarks = models.some((m) => scores[d][m] === null),
    titles = ["Model", "Mean", ...labels, ...(remarks ? ["Remark"] : [])];
  const set = numbers.datasets[d],
    table = make("table", { class: "sortable" }),
    body = make("tbody");
  table.append(
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        ...titles.map((title) =>
          make(
            "th",
            { scope: "col", ...(title === "Remark" ? { class: "left" } : {}) },
            make("button", { type: "button" }, title),
          ),
        ),
      ),
    ),
    body,
  );
  for (const m of models) {
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, numbers.models[m]),
        make("td", {}, fixed(scores[d][m], 4)),
        ...labels.map((_, f) => make("td", {}, ofParts(rows[f]?.[m]))),
        ...(remarks
          ? [make("td", { class: "left" }, scores[d][m] === null ? (numbers.why[name]?.[numbers.models[m]] ?? "not run") : "")]
          : []),
      ),
    );
  }
  const facts = [
    ["rows", "rows"],
    ["features", "features"],
    ["classes", "classes"],
  ]
    .filter(([field]) => set[field] !== null)
    .map(([field, word]) => `${set[field].toLocaleString("en")} ${word}`);
  byId("folds-title").textContent = `${name}: ${metric.selectedOptions[0].textContent} by fold`;
  byId("folds-facts").textContent =
    `${facts.join(", ")}; ${better ? "higher" : "lower"} is better, best model first. Press Esc to close.`;
  const place = region(`Scores of ${name} by fold`, table);
  byId("folds-table").replaceChildren(place);
  addTools(place);
  dialog.showModal();
}

// saving
function save(name, kind, content) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([content], { type: kind })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
function fileName(place) {
  const view = place.closest(".view, #explore, dialog"),
    parts = [place.getAttribute("aria-label"), view ? metric.value : ""];
  return parts
    .join(" ")
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
}
function svgText(svg) {
  // a copy that needs no style sheet
  const copy = svg.cloneNode(true),
    box = svg.viewBox.baseVal,
    wanted = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "paint-order", "font-size", "font-family"];
  const [from, to] = [svg, copy].map((root) => [...root.querySelectorAll("*")]);
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    to[i].setAttribute("style", wanted.map((name) => `${name}:${style.getPropertyValue(name).replaceAll('"', "'")}`).join(";"));
    to[i].removeAttribute("class");
  });
  copy.setAttribute("width", box.width);
  copy.setAttribute("height", box.height);
  copy.removeAttribute("style");
  const paper = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({
    width: "100%",
    height: "100%",
    fill: getComputedStyle(document.body).backgroundColor,
  }))
    paper.setAttribute(name, value);
  copy.prepend(paper);
  return new XMLSerializer().serializeToString(copy);
}
function savePng(svg, name) {
  const image = new Image(),
    box = svg.viewBox.baseVal,
    canvas = make("canvas", { width: 2 * box.width, height: 2 * box.height });
  image.addEventListener("load", () => {
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name, "image/png", blob));
  });
  image.setAttribute("src", `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(svg))}`);
}
const cellsOf = (table) =>
  [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/\s+/g, " ")));
const tableTexts = {
  CSV: (rows) =>
    rows.map((row) => row.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")).join("\n"),
  Markdown: (rows) =>
    [rows[0], rows[0].map((_, i) => (i ? "--:" : "---")), ...rows.slice(1)]
      .map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
      .join("\n"),
  LaTeX: (rows) => {
    const line = (row) =>
      `${row.map((cell) => cell.replace(/[\\{}$&#%_^~]/g, (sign) => ({ "\\": "\\textbackslash{}", "^": "\\textasciicircum{}", "~": "\\textasciitilde{}" })[sign] ?? `\\${sign}`)).join(" & ")} \\\\`;
    return [
      `\\begin{tabular}{l${"r".repeat(rows[0].length - 1)}}`,
      "\\toprule",
      line(rows[0]),
      "\\midrule",
      ...rows.slice(1).map(line),
      "\\bottomrule",
      "\\end{tabular}",
    ].join("\n");
  },
};
function addTools(place) {
  // buttons above a figure or table that save it
  const svg = place.querySelector("svg"),
    table = place.querySelector("table"),
    tools = make("p", { class: "tools" }),
    name = fileName(place);
  const button = (text, act) => {
    const element = make("button", { type: "button", "aria-label": `Save ${place.getAttribute("aria-label")} as ${text}` }, text);
    element.addEventListener("click", act);
    tools.append(element);
  };
  if (svg) {
    button("SVG", () => save(`${name}.svg`, "image/svg+xml", svgText(svg)));
    button("PNG", () => savePng(svg, `${name}.png`));
  }
  if (table)
    for (const [kind, ending] of [
      ["CSV", "csv"],
      ["Markdown", "md"],
      ["LaTeX", "tex"],
    ])
      button(kind, () => save(`${name}.${ending}`, "text/plain", `${tableTexts[kind](cellsOf(table))}\n`));
  if (tools.childElementCount) place.after(tools);
  overflow.observe(place);
}
const overflow = new ResizeObserver((entries) =>
  entries.forEach(({ target }) => target.classList.toggle("more", target.scrollWidth > target.clientWidth + 1)),
);

document.addEventListener("click", (event) => {
  const head = event.target.closest("table.sortable th button"),
    folds = event.target.closest("[data-folds]");
  if (head) sort(head.parentElement);
  if (folds) showFolds(folds.dataset.folds);
});
for (const source of [...new Set(numbers.datasets.map((set) => set.source))].sort())
  byId("source").append(make("option", { value: source }, source));
for (const name of numbers.models)
  byId("models").append(make("label", {}, make("input", { type: "checkbox", name: "model", checked: "" }), ` ${name}`));
const filters = {
  rows: ["rows-from", "rows-to"],
  features: ["features-from", "features-to"],
  classes: ["classes"],
  missing: ["missing"],
  categorical: ["categorical"],
};
for (const [fact, ids] of Object.entries(filters))
  if (numbers.datasets.every((set) => set[fact] === null))
    ids.forEach((id) => {
      byId(id).closest("label").hidden = true;
    });
byId("source").closest("label").hidden = byId("source").options.length < 3; // "any" and the only one
const about = byId("source").closest("fieldset");
about.hidden = [...about.querySelectorAll("label")].every((label) => label.hidden);
let waiting = 0;
form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 150);
});
form.addEventListener("reset", () => setTimeout(refresh, 0));
form.addEventListener("submit", (event) => event.preventDefault());
for (const [id, checked] of [
  ["all-models", true],
  ["no-models", false],
])
  byId(id).addEventListener("click", () => {
    form.querySelectorAll("[name=model]").forEach((box) => {
      box.checked = checked;
    });
    explore();
  });
metric.addEventListener("change", show);
let isStale = false,
  isSeen = false; // correlations take longest: they are computed when they come into view
function relateAgain() {
  isStale = true;
  relateIfDue();
}
function relateIfDue() {
  if (related && isStale && isSeen) {
    isStale = false;
    relate();
  }
}
if (related) {
  for (const [id, side] of [
    ["side-first", related.sides[0]],
    ["side-second", related.sides[1]],
  ]) {
    byId(id).append(
      ...[...Object.keys(related.families), ...numbers.models].map((name) =>
        make("option", name === side ? { selected: "" } : {}, name),
      ),
    );
  }
  byId("relate").hidden = false;
  byId("relate").addEventListener("change", relate);
  new IntersectionObserver(
    (entries) => {
      isSeen = entries.at(-1).isIntersecting;
      relateIfDue();
    },
    { rootMargin: "100%" },
  ).observe(byId("metafeatures"));
  window.addEventListener("beforeprint", () => {
    isSeen = true;
    relateIfDue();
  });
  byId("relate").addEventListener("submit", (event) => event.preventDefault());
}
document.querySelectorAll(".scroll").forEach(addTools);
byId("explore").hidden = false;
for (const link of document.querySelectorAll("[href='#explore']")) link.hidden = false;
for (const name of document.querySelectorAll(".folds-of"))
  name.replaceChildren(
    make("button", { type: "button", class: "plain", "data-folds": name.textContent, title: "Show its folds" }, name.textContent),
  );
show();
