"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);
const points = content.points;
const methods = [...new Set(points.map((p) => p.model ? `${p.method}-${p.model}` : p.method))];
const nameOf = (p) => p.model ? `${p.method}-${p.model}` : p.method;

// Okabe and Ito's colours, told apart by colour-blind readers; with marks and dashes also in grey print.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a7a7a", "#e69f00"];
const polygon = (corners, turn) => ({
  draw(context, size) {
    const radius = Math.sqrt(size) * 0.65;
    for (let n = 0; n < corners; n++) {
      const angle = turn + 2 * Math.PI * n / corners;
      context[n ? "lineTo" : "moveTo"](radius * Math.cos(angle), radius * Math.sin(angle));
    }
    context.closePath();
  },
});
const SYMBOLS = [d3.symbolCircle, d3.symbolSquare, d3.symbolTriangle, d3.symbolDiamond, d3.symbolCross, d3.symbolWye,
  polygon(3, Math.PI / 2), polygon(6, 0)];
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "4 4", "14 3 2 3 2 3", "1 6"];
const plain = methods.filter((m) => !m.startsWith("zero_shot"));
const look = (method) => {
  if (method.startsWith("zero_shot")) return { colour: "currentColor", symbol: d3.symbolStar, dash: "none" };
  const n = plain.indexOf(method);
  return { colour: COLOURS[n % COLOURS.length], symbol: SYMBOLS[n % SYMBOLS.length], dash: DASHES[n % DASHES.length] };
};
const symbol = (method, size) => d3.symbol(look(method).symbol, size)();

const domains = Object.keys(points.length ? points[0].test : {}).filter((split) => split.startsWith("ood/"));
for (const domain of domains) byId("domain").append(new Option(domain.slice(4), domain));
const state = { part: "test", domain: "mean", axes: "linear", alone: null, repeats: false };
const oodOf = (p, part, domain) => {
  const own = domains.map((d) => p[part][d]);
  if (domain === "mean") return d3.mean(own);
  return domain === "worst" ? d3.min(own) : p[part][domain];
};
const at = (p, part = state.part) => [p[part].id, oodOf(p, part, state.domain)];
const shown = () => points.filter((p) => state.alone === null || nameOf(p) === state.alone);

// Of some points those that no other beats in both.
const nondominated = (some, value) => some.filter((p) => !some.some((q) => {
  const [a, b] = value(p), [c, d] = value(q);
  return c >= a && d >= b && (c > a || d > b);
}));
const frontOf = (method) => nondominated(points.filter((p) => nameOf(p) === method), (p) => at(p, "val"));

// One unit is one pixel, so that type keeps its size on a phone.
const MARGIN = { top: 10, right: 15, bottom: 48, left: 68 };
let WIDTH = 900, HEIGHT = 560, SMALL = [900, 360];
function measure() {
  WIDTH = Math.max(300, document.querySelector("figure").clientWidth);
  HEIGHT = Math.round(Math.min(560, Math.max(320, WIDTH * 0.7)));
  SMALL = [WIDTH, Math.round(Math.min(360, Math.max(240, WIDTH * 0.5)))];
}
const logit = (v) => Math.log(v / (100 - v));
const inside = (v) => Math.min(99.9, Math.max(0.1, v));
function scale(values, range) {
  const [low, high] = d3.extent(values), room = Math.max(1, (high - low) * 0.05);
  if (state.axes === "logit") {
    const ends = [inside(low - room), inside(high + room)], own = d3.scaleLinear(ends.map(logit), range);
    const used = (v) => own(logit(inside(v)));
    used.ticks = () => [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99].filter((v) => v >= ends[0] && v <= ends[1]);
    return used;
  }
  return d3.scaleLinear([Math.max(0, low - room), Math.min(100, high + room)], range);
}
function axes(svg, x, y, names, [width, height] = [WIDTH, HEIGHT], format = (v) => `${+v.toPrecision(4)}`) {
  const bottom = height - MARGIN.bottom, right = width - MARGIN.right;
  const grid = svg.append("g").attr("class", "grid").attr("aria-hidden", "true");
  for (const v of x.ticks(Math.max(3, width / 110))) {
    grid.append("line").attr("x1", x(v)).attr("x2", x(v)).attr("y1", MARGIN.top).attr("y2", bottom);
    grid.append("text").attr("x", x(v)).attr("y", bottom + 18).attr("text-anchor", "middle").text(format(v));
  }
  for (const v of y.ticks(7)) {
    grid.append("line").attr("x1", MARGIN.left).attr("x2", right).attr("y1", y(v)).attr("y2", y(v));
    grid.append("text").attr("x", MARGIN.left - 8).attr("y", y(v) + 4).attr("text-anchor", "end").text(format(v));
  }
  svg.append("text").attr("x", (MARGIN.left + right) / 2).attr("y", height - 8).attr("text-anchor", "middle").text(names[0]);
  svg.append("text").attr("transform", `translate(14,${(MARGIN.top + bottom) / 2}) rotate(-90)`).attr("text-anchor", "middle").text(names[1]);
}

// The steps of what a front attains: everything to the left of and below one of its points.
function steps(some, value, x, y) {
  const corners = nondominated(some, value).map(value).sort((a, b) => b[0] - a[0]);
  if (!corners.length) return "";
  let path = `M${x(corners[0][0])},${HEIGHT - MARGIN.bottom}`;
  for (const [id, ood] of corners) path += `H${x(id)}V${y(ood)}`;
  return `${path}H${MARGIN.left}`;
}

function words(p) {
  const part = state.part === "test" ? "test" : "validation", half = state.part === "test" ? p.half : {};
  const with_ = (v, key) => half[key] === undefined ? v.toFixed(1) : `${v.toFixed(1)} ± ${half[key].toFixed(1)}`;
  const each = domains.map((d) => `${d.slice(4)} ${with_(p[state.part][d], d)}`).join(", ");
  const lines = [`${p.name}: ${part} ID ${with_(p[state.part].id, "id")} %, OOD ${with_(oodOf(p, state.part, "mean"), "ood")} %`, each];
  if (p.text) lines.push(p.text);
  if (p.rules.length) lines.push(`picked by ${p.rules.join(", ")}`);
  return lines.join("\n");
}

function draw() {
  const svg = d3.select("#chart").attr("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.selectAll("*").remove();
  const there = shown(), all = points.map((p) => at(p));
  const x = scale(all.map((v) => v[0]), [MARGIN.left, WIDTH - MARGIN.right]);
  const y = scale(all.map((v) => v[1]), [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const of = byId("domain").selectedOptions[0].text, part = state.part === "test" ? "test" : "validation";
  svg.append("clipPath").attr("id", "inside").append("rect").attr("x", MARGIN.left).attr("y", MARGIN.top)
    .attr("width", WIDTH - MARGIN.left - MARGIN.right).attr("height", HEIGHT - MARGIN.top - MARGIN.bottom);
  axes(svg, x, y, [`ID ${part} accuracy (%)`, `OOD ${part} accuracy, ${of} (%)`]);
  for (const [source, own] of d3.group(there.filter((p) => p.source), (p) => p.source)) {
    const ends = points.filter((p) => p.name === source);
    const line = [...own, ...ends].sort((a, b) => (a.params.alpha ?? 1) - (b.params.alpha ?? 1)).map((p) => at(p));
    svg.append("path").attr("class", "joined").attr("clip-path", "url(#inside)").attr("stroke", look(nameOf(own[0])).colour)
      .attr("d", d3.line((v) => x(v[0]), (v) => y(v[1]))(line));
  }
  const onFront = new Set();
  for (const method of new Set(there.map(nameOf))) {
    const front = frontOf(method);
    front.forEach((p) => onFront.add(p));
    if (method.startsWith("zero_shot")) continue;
    svg.append("path").attr("class", "front").attr("stroke", look(method).colour).attr("stroke-dasharray", look(method).dash)
      .attr("d", steps(front, (p) => at(p), x, y));
  }
  if (state.part === "test" && state.domain === "mean") {
    for (const p of there.filter((q) => onFront.has(q) && q.half.id !== undefined)) {
      const [id, ood] = at(p), bar = (x1, y1, x2, y2) => svg.append("line").attr("class", "bar").attr("clip-path", "url(#inside)").attr("stroke", look(nameOf(p)).colour)
        .attr("x1", x(x1)).attr("y1", y(y1)).attr("x2", x(x2)).attr("y2", y(y2));
      bar(id - p.half.id, ood, id + p.half.id, ood);
      bar(id, ood - p.half.ood, id, ood + p.half.ood);
    }
  }
  if (state.repeats && state.part === "test" && state.domain === "mean") {
    for (const p of there) for (const [id, ood] of p.of_trials) {
      svg.append("path").attr("d", symbol(nameOf(p), 12)).attr("fill", look(nameOf(p)).colour).attr("opacity", 0.5)
        .attr("transform", `translate(${x(id)},${y(ood)})`);
    }
  }
  const ordered = [...there].sort((a, b) => at(a)[0] - at(b)[0]);
  const marks = svg.append("g").selectAll("path").data(ordered).join("path")
    .attr("class", (p) => onFront.has(p) ? "mark" : "mark faint").attr("role", "img")
    .attr("aria-label", (p) => words(p).replaceAll("\n", "; "))
    .attr("tabindex", (p, n) => n === 0 ? 0 : -1).attr("fill", (p) => look(nameOf(p)).colour)
    .attr("d", (p) => symbol(nameOf(p), p.method === "zero_shot" ? 220 : onFront.has(p) ? 90 : 50))
    .attr("transform", (p) => `translate(${at(p).map((v, n) => [x, y][n](v)).join(",")})`);
  const tell = (event, p) => { byId("details").textContent = words(p); };
  marks.on("mouseenter", tell).on("focus", tell).on("click", function (event, p) { this.focus(); tell(event, p); });
  marks.on("keydown", function (event) {
    const nodes = marks.nodes(), step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = nodes[(nodes.indexOf(this) + step + nodes.length) % nodes.length];
    nodes.forEach((node) => node.setAttribute("tabindex", node === next ? 0 : -1));
    next.focus();
  });
  svg.append("g").selectAll("circle").data(ordered.filter((p) => p.rules.length)).join("circle").attr("class", "ring").attr("r", 9)
    .attr("cx", (p) => x(at(p)[0])).attr("cy", (p) => y(at(p)[1]));
  if (state.alone !== null) {
    const picked = ordered.filter((p) => p.rules.length), left = (p) => x(at(p)[0]) > WIDTH * 0.7;
    svg.append("g").attr("aria-hidden", "true").selectAll("text").data(picked).join("text").text((p) => p.rules.join(", "))
      .attr("x", (p) => x(at(p)[0]) + (left(p) ? -13 : 13)).attr("y", (p) => y(at(p)[1]) - 8)
      .attr("text-anchor", (p) => left(p) ? "end" : "start");
  }
}

function legend() {
  for (const method of methods) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    const svg = d3.select(button).append("svg").attr("viewBox", "0 0 34 16").attr("aria-hidden", "true");
    if (!method.startsWith("zero_shot")) {
      svg.append("line").attr("x2", 34).attr("y1", 8).attr("y2", 8).attr("stroke", look(method).colour).attr("stroke-width", 2)
        .attr("stroke-dasharray", look(method).dash);
    }
    svg.append("path").attr("d", symbol(method, 70)).attr("transform", "translate(17,8)").attr("fill", look(method).colour);
    button.append(method);
    button.addEventListener("click", () => {
      state.alone = state.alone === method ? null : method;
      for (const other of byId("legend").children) {
        other.setAttribute("aria-pressed", String(state.alone !== null && other === button));
      }
      draw();
    });
    byId("legend").append(button);
  }
}

function picksTable() {
  const table = d3.select("#picks"), heads = ["method", "picked by", "trial", "ID", "OOD", ...domains.map((d) => d.slice(4)), "worst",
    "ID - full", "OOD - full", "ID - zero-shot", "OOD - zero-shot"];
  table.append("thead").append("tr").selectAll("th").data(heads).join("th").attr("scope", "col").text((h) => h);
  const body = table.append("tbody"), known = new Map(points.map((p) => [p.name, p]));
  const together = d3.groups(content.comparisons, (c) => c.name);
  for (const [name, same] of together) {
    const p = known.get(name), row = body.append("tr");
    const value = (v, half) => half === undefined ? v.toFixed(1) : `${v.toFixed(1)} ± ${half.toFixed(1)}`;
    row.append("th").attr("scope", "row").text(same[0].method);
    row.append("td").attr("class", "word").text(same.map((c) => c.rule).join(", "));
    row.append("td").attr("class", "word").text(name);
    row.append("td").text(value(p.test.id, p.half.id));
    row.append("td").text(value(oodOf(p, "test", "mean"), p.half.ood));
    for (const d of domains) row.append("td").text(value(p.test[d], p.half[d]));
    row.append("td").text(oodOf(p, "test", "worst").toFixed(1));
    for (const base of ["full", "zero_shot"]) for (const part of ["id", "ood"]) {
      const own = same.map((c) => c.differences[`${part} - ${base}`]).find((d) => d);
      const cell = row.append("td").text(own ? `${own.value > 0 ? "+" : ""}${own.value.toFixed(1)} ± ${own.half.toFixed(1)}` : "-");
      if (own && (own.verdict === "seen" || own.verdict === "not seen")) cell.attr("class", "seen");
    }
  }
}

function small(id, names, values, logX, series) {
  const svg = d3.select(id).attr("viewBox", `0 0 ${SMALL[0]} ${SMALL[1]}`);
  svg.selectAll("*").remove();
  if (!values.length) return;
  const ends = d3.extent(values, (v) => v[0]);
  if (ends[0] === ends[1]) ends[1] = ends[0] + 1;
  const room = (d3.max(values, (v) => v[1]) - d3.min(values, (v) => v[1])) * 0.08 || 1;
  const x = (logX ? d3.scaleLog() : d3.scaleLinear()).domain(ends).range([MARGIN.left + 10, SMALL[0] - MARGIN.right - 10]);
  const y = d3.scaleLinear([d3.min(values, (v) => v[1]) - room, d3.max(values, (v) => v[1]) + room], [SMALL[1] - MARGIN.bottom, MARGIN.top]);
  const ticks = x.ticks.bind(x);
  x.ticks = (n) => logX ? ticks(6).filter((v) => /^[125]e/.test(v.toExponential())) : ticks(n);
  axes(svg, x, y, names, SMALL, (v) => Math.abs(v) < 0.01 && v !== 0 ? v.toExponential(0) : `${+v.toPrecision(3)}`);
  series(svg, x, y);
}

function knobs() {
  const chosen = byId("knob-method").value, key = byId("knob").value, own = points.filter((p) => nameOf(p) === chosen && p.params[key] !== undefined);
  const words_ = own.some((p) => typeof p.params[key] !== "number"), names = [...new Set(own.map((p) => p.params[key]))].sort();
  const place = (p) => words_ ? names.indexOf(p.params[key]) : p.params[key];
  const values = own.map(place), logX = !words_ && d3.min(values) > 0 && d3.max(values) / d3.min(values) > 5;
  const both = own.flatMap((p) => [[place(p), p.val.id], [place(p), oodOf(p, "val", "mean")]]);
  small("#knob-chart", [words_ ? `${key}: ${names.map((n, i) => `${i} ${n}`).join(", ")}` : key, "validation accuracy (%)"], both, logX, (svg, x, y) => {
    const mark = (p, v, fill) => svg.append("path").attr("d", symbol(chosen, 80)).attr("fill", fill).attr("stroke", look(chosen).colour)
      .attr("stroke-width", 2).attr("transform", `translate(${x(place(p))},${y(v)})`);
    for (const p of own) {
      mark(p, p.val.id, look(chosen).colour);
      mark(p, oodOf(p, "val", "mean"), "none");
    }
  });
}
function knobChoices() {
  const own = points.filter((p) => nameOf(p) === byId("knob-method").value);
  const keys = [...new Set(own.flatMap((p) => Object.keys(p.params)))].filter((k) => new Set(own.map((p) => p.params[k])).size > 1);
  byId("knob").replaceChildren(...keys.map((k) => new Option(k, k)));
}

function budget() {
  if (!byId("budget-chart")) return;
  const hours = byId("budget-axis").value === "hours";
  const lines = content.budgets.map((b) => ({ method: b.method, values: b.hypervolumes.map((v, n) => [(n + 1) * (hours ? b.hours : 1), v]) }));
  small("#budget-chart", [hours ? "hours of training" : "trainings", "hypervolume"], lines.flatMap((l) => l.values), false, (svg, x, y) => {
    for (const { method, values } of lines) {
      svg.append("path").attr("class", "front").attr("stroke", look(method).colour).attr("stroke-dasharray", look(method).dash)
        .attr("d", d3.line((v) => x(v[0]), (v) => y(v[1]))(values));
      for (const v of values) svg.append("path").attr("d", symbol(method, 50)).attr("fill", look(method).colour).attr("transform", `translate(${x(v[0])},${y(v[1])})`);
    }
  });
}

function moved() {
  const key = byId("moved").value, own = points.filter((p) => p[key] !== null);
  const name = key === "cka" ? "CKA of OOD features with the pre-trained model's" : "distance of the weights, as a share of their norm";
  small("#moved-chart", [name, "OOD test accuracy (%)"], own.map((p) => [p[key], oodOf(p, "test", "mean")]), false, (svg, x, y) => {
    for (const p of own) {
      svg.append("path").attr("d", symbol(nameOf(p), 70)).attr("fill", look(nameOf(p)).colour)
        .attr("transform", `translate(${x(p[key])},${y(oodOf(p, "test", "mean"))})`).append("title").text(p.name);
    }
  });
}

for (const key of ["part", "domain", "axes"]) byId(key).addEventListener("change", (event) => { state[key] = event.target.value; draw(); });
byId("repeats").addEventListener("change", (event) => { state.repeats = event.target.checked; draw(); });
byId("repeats-label").hidden = !points.some((p) => p.of_trials.length > 1);
const searched = methods.filter((m) => points.some((p) => nameOf(p) === m && Object.keys(p.params).length));
byId("knob-method").append(...searched.map((m) => new Option(m, m)));
byId("knob-method").addEventListener("change", () => { knobChoices(); knobs(); });
byId("knob").addEventListener("change", knobs);
if (byId("budget-axis")) byId("budget-axis").addEventListener("change", budget);
byId("moved").addEventListener("change", moved);
function pictures() {
  measure();
  draw();
  knobs();
  budget();
  moved();
}
legend();
picksTable();
knobChoices();
pictures();
addEventListener("resize", pictures);
if (content.so_far) setTimeout(() => location.reload(), 60000);
